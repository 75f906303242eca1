"""Whether a node has room for something new, and how much: a pure decision on what was measured and heard.

A node is closed when its free space falls to its reserve, and at once when its daemon says that the disk is full. It
opens again only when there is clearly more, so that it does not flap around the border.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ipfs_cluster.model import RepoStat
from ipfs_cluster.sizes import size_text

HOLD = 60.0
HOLD_LIMIT = 3600.0
"""Seconds for which a node that said its disk is full stays closed though the figures show room: the first time, and
at most. They are then of another disk than the one that is full, or the disk has no inodes or quota left."""
GROWTH = 64 * 2**20
GROWTH_LIMIT = 64 * 2**30
"""Bytes by which its free space must have grown to be believed before that."""
MARGIN = 10
"""A node that fell to its reserve opens when the tenth part of the reserve is free above it."""
UNKNOWN_REPO = "the size of its repository, which StorageMax is to bound, is not known yet"


@dataclass(frozen=True, slots=True)
class RoomRule:
    """reserve: bytes that stay free. honour_storage_max: also no more than Kubo's StorageMax is put there."""

    reserve: int = 0
    honour_storage_max: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """free: bytes that something new may take, 0 while closed. why: it is closed, in words; empty while it is open.

    low: it had nothing left when it was measured. told: the daemon said that its disk is full; least: the smallest free
    space seen since; until: monotonic time up to which only growth opens it; strikes: how often it was told in a row.
    """

    free: int = 0
    why: str = "its free space is not known yet"
    low: bool = False
    told: bool = False
    least: int | None = None
    until: float = 0.0
    strikes: int = 0

    @property
    def open(self) -> bool:
        """True when something new may go there."""
        return not self.why


def measured(room: Room, free: int, repo: RepoStat | None, rule: RoomRule, now: float) -> Room:
    """After a measurement. free: of the disk. repo: the repository as last known. now: monotonic."""
    if rule.honour_storage_max and repo is None:
        return room if room.low or room.told else Room(0, UNKNOWN_REPO)
    left, why = _left(free, repo, rule)
    enough = left > rule.reserve // MARGIN
    if room.told:
        least = free if room.least is None else min(room.least, free)
        grown = free >= least + min(GROWTH * 2 ** (room.strikes - 1), GROWTH_LIMIT)
        if not enough or not (grown or now >= room.until):
            return replace(room, least=least)
    elif why:
        return replace(room, free=0, why=why, low=True)
    elif room.low and not enough:
        return replace(room, why=f"{size_text(left)} above its limit, which it had reached, are not enough yet")
    return Room(left, "", until=room.until, strikes=room.strikes)


def told_full(room: Room, words: str, now: float) -> Room:
    """After the daemon said so. words: its own. now: monotonic."""
    if room.told:
        return room
    strikes = room.strikes + 1 if now < room.until + 2 * hold(room.strikes) else 1
    return Room(0, f"its disk is full: {words}", told=True, until=now + hold(strikes), strikes=strikes)


def hold(strikes: int) -> float:
    """Seconds that a node stays closed after the daemon said for the so-manieth time in a row that its disk is full."""
    return min(HOLD * 2.0 ** min(strikes - 1, 16), HOLD_LIMIT) if strikes else 0.0


def _left(free: int, repo: RepoStat | None, rule: RoomRule) -> tuple[int, str]:
    """How much may be put there, and why nothing may."""
    left = free - rule.reserve
    if free <= 0:
        return 0, "its disk is full: nothing is free"
    if left <= 0:
        return 0, f"below its reserve: {size_text(free)} free, reserve {size_text(rule.reserve)}"
    if not rule.honour_storage_max or repo is None:
        return left, ""
    allowed = repo.storage_max - repo.repo_size
    if allowed <= 0:
        return 0, f"its repository has reached StorageMax: {size_text(repo.repo_size)} of {size_text(repo.storage_max)}"
    return min(left, allowed), ""
