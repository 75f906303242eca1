"""What peers have been promised and their free space does not show yet. Constant memory a peer, whatever is promised.

A pin's size is mostly unknown when it is allocated, so each allocation promises its peers an estimate. It counts until
the peer's free space is measured again; what the peer has then still queued goes on being promised, by number and
average size. The bytes of a running add are promised until it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from ipfs_cluster.model import PeerId

USUAL_PINS = 1000
USUAL_SIZE = 1024 * 1024
"""The average size of a pin is taken as if this many pins of this many bytes were there besides: a few pins in a
repository that is full of other blocks say little about the next one."""


@dataclass(slots=True)
class Ledger:
    """The account of one peer, in bytes. queued: what was still to be fetched at the last measurement; adding: what
    running adds may bring; fresh: promised since the measurement, for `pins` pins.
    """

    queued: int = 0
    adding: int = 0
    fresh: int = 0
    pins: int = 0

    @property
    def promised(self) -> int:
        """Bytes that the peer's measured free space is still to lose."""
        return self.queued + self.adding + self.fresh

    def promise(self, size: int) -> None:
        """One more pin."""
        self.fresh += size
        self.pins += 1

    def measured(self, queue: int, average: int) -> None:
        """Free space was measured, with `queue` pins still to be fetched."""
        self.queued = queue * average
        self.fresh = self.pins = 0


class PinSizes:
    """The average size of a pin, from what the peers report of their repositories."""

    def __init__(self) -> None:
        self._reports: dict[PeerId, tuple[int, int]] = {}
        self._bytes = USUAL_PINS * USUAL_SIZE
        self._pins = USUAL_PINS

    def report(self, peer: PeerId, size: int, pins: int) -> None:
        """A peer's repository has this many bytes and pins; replaces what it reported before."""
        old_size, old_pins = self._reports.get(peer, (0, 0))
        self._reports[peer] = (size, pins)
        self._bytes += size - old_size
        self._pins += pins - old_pins

    @property
    def average(self) -> int:
        """Bytes."""
        return self._bytes // self._pins
