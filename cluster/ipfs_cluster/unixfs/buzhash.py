"""The buzhash chunker (spec 4.2): a cut where a rolling hash of the last 32 bytes ends in 17 zero bits.

The hash is T[b₀] rotated by 31, XOR T[b₁] rotated by 30, … XOR T[b₃₁]. It is computed for a whole stretch at once: a
long integer holds a lane of 32 bits for each byte, and five doublings (the hash of 2k bytes is that of the first k
rotated by k, XOR that of the other k) do for all places what a loop does byte by byte, at several times its speed.

The table T is generated, not copied: 200 rounds of permuting each bit of 128 words of ones and 128 of zeros among the
words, by Go's math/rand with seed 0. `cluster_tests/unixfs/buzhash_table.py` does it, Go's generator included; the
result was held against chunks that a daemon cut.
"""

from __future__ import annotations

from functools import cache

from ipfs_cluster.unixfs.cutting import Cutting

MIN, MAX = 128 << 10, 512 << 10
WINDOW = 32
_MASK = (1 << 17) - 1
_STRETCH = 16 << 10

_TABLE = bytes.fromhex(
    "6236e7d510279b0b72818182dc5265142fd41e3d777ef8c883ee52852c8f36372f049c1a57df97919207151f9b544818"
    "74eef6582028ca600271d91a27ae587eecf9fa5f236e71cdf43a8a2e0bb133809e57912c89a26cdb9fcf3d71a86da6f1"
    "9c49f376346aecc7f094a9eeea99e9cbb01713c6088acffb2960a0fb344a626c7ff22a466d7a1aa56a71491641d454ca"
    "8325b8300b65f563447feccaf9d0ea5ec1d9d3d4cb5ec57455aae90286edc0e70d3a9e33e70dc1e1e3c5f6399b43140a"
    "c6490ac55e4030fb8e976dd5a87468eaf830ef6fcc1ed5a5611f4e78ddd11905f2613904566c67b9905a5ccc7b37b3a4"
    "4b53898a6b8fd29daad81575511be4143cfac1e78029a179d40efeda07380e02dc9beffd2d04908299bc7831ff5002a8"
    "21ce764601cd049b0f43994fc3c6c5a5bbda5f500ec15ec79adb19b60c1e80b9b9b52968ae1624192542b40591a42e9d"
    "6be0f6686ed7a6b9bc2777b4e162ce564266aad560fdb70466f832a59595f6cafee83ced55228d9912bf0e2866896459"
    "0789afda0282baa82367a343591491b02ff1a4b1410739b69b7055a02e0eb22924fc82523327d3dfb07826691c62e069"
    "7f503101f50593aed9eb275de00eb6785917ccde97b9660add06202ded229e22a9c735bfd6316fe66fc72e4c0206dfa2"
    "d6b15c5a69d87b4909c9774513445d6135a975aa859aa9b965380013d1fb6391c29255fd784a3b91b9e74c2663ce4d40"
    "c07cbe9ee6e4529e0fb3632f9438d9c9682f94a8f8fd4611257ec1ed475ce3d660ee2db12afab0022b9e487886b340de"
    "1482fdcafe41b3bfd4a412b0e09db98cc1af5d537e55e25fd3346b38b7a12cbd9c6827ba71f78bee8c3a0f52150491b0"
    "f26de912233e3a4ed309ebbaa0a9e0ffca2b5921eeb9893c33829e889870cc2a23c4b9d0eba32ea3bdac4d223bc8c44c"
    "1e8d0397f9327735783b009f0eb837422621dc71ed017d035c760aa15a69814b96e3047fa93c9cde615c86f5b4322aa5"
    "4225534d0d2e2de3ccfccc4b0bac2a57f0a06d04bc78d737f2d1f766f5a7953cbcdfda855213b7d5bce8a328d38f5f18"
    "db094244fe571253317fa7ee4a324f433ffc39d951b3fa8e7a4bee9f78bbc6829f5c035002fe286c245ab686ed6bf7d7"
    "0ac4988a3fe010fac65fe369a45749cb2b84e537de9ff36320540f9aaa8c9b345bc476b31d574bd7929100ad4721de4d"
    "27df1b0558b18546b7e76764df904e5897af57a1bd4dc433a6256dfdf63998f3f1e05833e20acf26f57fd9d690300b4d"
    "89df429068d01cbccf893ee3cc42a046778e181b67265c76e981a4c482991da1708f7294e6e2ae62fc44187095e1b0b6"
    "0445f8255a93b47f5e9cf4be84da71e79d9582b09bf835ef591f61e2433259855d2de32e8d8fbf0f95b30f3807ad5b6e"
    "4e934edf3cd4990e9053e2595c41857d"
)
"""T, 256 big-endian words of 32 bits."""

_PLANES = [_TABLE[place::4] for place in (3, 2, 1, 0)]
"""The words' bytes from the lowest up, as tables for `translate`."""


@cache
def _lanes(word: int, count: int) -> int:
    """A word repeated in `count` lanes."""
    return int.from_bytes(word.to_bytes(4, "little") * count, "little")


def words(data: bytes) -> int:
    """T of each byte, a lane each, the first byte in the lowest."""
    spread = bytearray(4 * len(data))
    for place, table in enumerate(_PLANES):
        spread[place::4] = data.translate(table)
    return int.from_bytes(spread, "little")


class Buzhash(Cutting):
    """Chunks of 128 to 512 KiB."""

    def __init__(self) -> None:
        super().__init__(MAX)

    def cut(self, buffer: bytearray) -> int:
        end = min(MAX, len(buffer))
        start = MIN
        while start < end:
            stop = min(start + _STRETCH, end)
            found = _first(bytes(memoryview(buffer)[start - WINDOW : stop - 1]))
            if found is not None:
                return start + found
            start = stop
        return end


def _first(data: bytes) -> int | None:
    """The first i for which the hash of data[i : i + WINDOW] ends in zeros; None if there is none."""
    count = len(data)
    hashes = words(data)
    step = 1
    while step < WINDOW:
        # Rotating lanes left by `step` and moving them up by `step` lanes is one shift for the bits that stay in
        # their lane and another for those that come round.
        stay = hashes & _lanes((1 << (32 - step)) - 1, count)
        hashes ^= stay << (33 * step) ^ (hashes ^ stay) << (33 * step - 32)
        step *= 2
    ends = (hashes & _lanes(_MASK, count)).to_bytes(4 * (count + WINDOW), "little")
    at = ends.find(b"\0\0\0\0", 4 * (WINDOW - 1), 4 * count)
    while at >= 0:
        if at % 4 == 0:
            return at // 4 - (WINDOW - 1)
        at = ends.find(b"\0\0\0\0", at + 1, 4 * count)
    return None
