"""Generates the buzhash table: bits permuted among words by Go's math/rand, whose own start is derived as well.

Go's generator is an additive lagged Fibonacci sequence, y(n) = y(n-607) + y(n-273) modulo 2^64. What it calls "cooked"
values is the state after 7.8·10^12 steps from a start that a small congruential generator makes. The steps are not
taken: x^N modulo x^607 - x^334 - 1 tells how y(N) depends on the first values.
"""

from __future__ import annotations

LENGTH, TAP = 607, 273
STEPS = 7_800_000_000_000
M64 = (1 << 64) - 1
_SLOT = 20


def generated(rounds: int = 200) -> list[int]:
    """The 256 words."""
    source = GoRand(0)
    words = [0xFFFFFFFF] * 128 + [0] * 128
    for _ in range(rounds):
        for bit in range(32):
            mask = 1 << bit
            for one, other in enumerate(source.perm(256)):
                first, second = words[one], words[other]
                words[one] = first & ~mask | second & mask
                words[other] = second & ~mask | first & mask
    return words


class GoRand:
    """math/rand's Rand over NewSource(seed)."""

    def __init__(self, seed: int) -> None:
        state = seed % 0x7FFFFFFF or 89482311
        self._values = [value ^ cooked for value, cooked in zip(_seeded(state, 40, 20), _cooked(), strict=True)]
        self._tap, self._feed = 0, LENGTH - TAP

    def int63(self) -> int:
        """Int63."""
        self._tap = (self._tap - 1) % LENGTH
        self._feed = (self._feed - 1) % LENGTH
        value = (self._values[self._feed] + self._values[self._tap]) & M64
        self._values[self._feed] = value
        return value & M64 >> 1

    def intn(self, bound: int) -> int:
        """Intn for a bound of at most 31 bits."""
        if bound & (bound - 1) == 0:
            return (self.int63() >> 32) & (bound - 1)
        highest = (1 << 31) - 1 - (1 << 31) % bound
        value = self.int63() >> 32
        while value > highest:
            value = self.int63() >> 32
        return value % bound

    def perm(self, count: int) -> list[int]:
        """Perm."""
        out = [0] * count
        for place in range(count):
            other = self.intn(place + 1)
            out[place] = out[other]
            out[other] = place
        return out


def _seeded(state: int, high: int, middle: int) -> list[int]:
    """The start: three numbers of x → 48271x mod 2^31-1 a value, after 20 that are thrown away."""
    values = []
    for place in range(-20, LENGTH):
        state = 48271 * state % 0x7FFFFFFF
        if place >= 0:
            value = state << high
            state = 48271 * state % 0x7FFFFFFF
            value ^= state << middle
            state = 48271 * state % 0x7FFFFFFF
            values.append((value ^ state) & M64)
    return values


def _cooked() -> list[int]:
    sequence = _first_values(2 * LENGTH)
    weights = _power(STEPS - LENGTH)
    state = [0] * LENGTH
    for offset in range(LENGTH):
        number = STEPS - LENGTH + offset
        total = sum(weight * value for weight, value in zip(weights, sequence[offset:], strict=False))
        state[(LENGTH - TAP - 1 - number) % LENGTH] = total & M64
    return state


def _first_values(count: int) -> list[int]:
    values = _seeded(1, 20, 10)
    out = []
    for number in range(count):
        feed, tap = (LENGTH - TAP - 1 - number) % LENGTH, (-1 - number) % LENGTH
        values[feed] = (values[feed] + values[tap]) & M64
        out.append(values[feed])
    return out


def _power(exponent: int) -> list[int]:
    """x^exponent, as coefficients."""
    result = [1] + [0] * (LENGTH - 1)
    for bit in f"{exponent:b}":
        result = _product(result, result)
        if bit == "1":
            result.insert(0, 0)
            result = _reduced(result)
    return result


def _product(one: list[int], other: list[int]) -> list[int]:
    """By one multiplication of long integers with a slot for each coefficient."""
    raw = (_packed(one) * _packed(other)).to_bytes(2 * LENGTH * _SLOT, "little")
    return _reduced([int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), _SLOT)])


def _packed(values: list[int]) -> int:
    return int.from_bytes(b"".join([value.to_bytes(_SLOT, "little") for value in values]), "little")


def _reduced(values: list[int]) -> list[int]:
    for place in range(len(values) - 1, LENGTH - 1, -1):
        values[place - LENGTH] = (values[place - LENGTH] + values[place]) & M64
        values[place - TAP] = (values[place - TAP] + values[place]) & M64
    return values[:LENGTH]
