"""What peers have been promised and their free space does not show yet. Constant memory a peer, whatever is promised.

A pin's size is mostly unknown when it is allocated, so each allocation promises its peers an estimate. It counts until
the peer's free space is measured again; what the peer has then still queued goes on being promised, by number and
average size. The bytes of a running add are promised until it ends, and are no estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.model import PeerId

USUAL_PINS = 1000
USUAL_SIZE = 1024 * 1024
"""The average size of a pin is taken as if this many pins of this many bytes were there besides: a few pins in a
repository that is full of other blocks say little about the next one."""

FAR_OFF = 16
"""How many times the average a pin may seem to take."""


@dataclass(slots=True)
class Ledger:
    """The account of one peer, in bytes. queued: what was still to be fetched at the last measurement, for `queue`
    pins; adding: what running adds may bring; fresh: promised since the measurement, for `pins` pins and by adds that
    ended, which `brought` so much.
    """

    queued: int = 0
    queue: int = 0
    adding: int = 0
    fresh: int = 0
    pins: int = 0
    brought: int = 0

    @property
    def promised(self) -> int:
        """Bytes that the peer's measured free space is still to lose, as far as can be estimated."""
        return self.queued + self.adding + self.fresh

    @property
    def certain(self) -> int:
        """The part of it that is known: what adds bring."""
        return self.adding + self.brought

    def promise(self, size: int) -> None:
        """One more pin."""
        self.fresh += size
        self.pins += 1

    def added(self, size: int) -> None:
        """An add of this many bytes ended."""
        self.adding -= size
        self.fresh += size
        self.brought += size

    def measured(self, queue: int, average: int) -> None:
        """Free space was measured, with `queue` pins still to be fetched."""
        self.queued, self.queue = queue * average, queue
        self.fresh = self.pins = self.brought = 0


class PinSizes:
    """The average size of a pin, from what the peers report of their repositories and from what pins were seen to take.
    A wrong one would make peers that were not measured for a while look emptier, or fuller, than others.
    """

    def __init__(self) -> None:
        self._reports: dict[PeerId, tuple[int, int]] = {}
        self._bytes = USUAL_PINS * USUAL_SIZE
        self._pins = USUAL_PINS
        self._seen_bytes = self._seen_pins = 0

    def report(self, peer: PeerId, size: int, pins: int) -> None:
        """A peer's repository has this many bytes and pins; replaces what it reported before."""
        old_size, old_pins = self._reports.get(peer, (0, 0))
        self._reports[peer] = (size, pins)
        self._bytes += size - old_size
        self._pins += pins - old_pins

    def made(self, pins: int, size: int) -> None:
        """So many pins were made on a peer while its free space fell by so much. Later ones count for more; one that
        is far off counts in part, as something else may have filled the disk.
        """
        if pins <= 0 or size < 0:
            return
        self._seen_pins += pins
        self._seen_bytes += min(size, FAR_OFF * pins * max(self.average, 1))
        if self._seen_pins > 20 * USUAL_PINS:
            self._seen_pins //= 2
            self._seen_bytes //= 2

    @property
    def average(self) -> int:
        """Bytes."""
        return (self._bytes + self._seen_bytes) // (self._pins + self._seen_pins)
