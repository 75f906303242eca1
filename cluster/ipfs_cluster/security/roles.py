"""The four roles."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """What somebody may do. None but ADMIN includes another. READ: listings, statuses, content. ADD: put content in,
    which pins it. PIN: pin, unpin, retry what exists elsewhere. ADMIN: everything, also what has no role of its own.
    """

    READ = "read"
    ADD = "add"
    PIN = "pin"
    ADMIN = "admin"


EVERYTHING = frozenset({Role.ADMIN})
