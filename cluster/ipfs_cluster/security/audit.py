"""The audit log: one line of JSON for each request that changes something or was denied, at both doors.

What may be a secret is not in it: of a query only listed keys, of a command's arguments only those of listed commands.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

log = logging.getLogger(__name__)

_KEYS = """
name mode recursive type local filter cids user-allocations expire-at expire-in pin-update replication replication-min
replication-max shard-size wait pin pin-name pin-roots cid-version hash to-files
"""
KEYS = frozenset(_KEYS.split())
"""Keys of a query that are written down, all of them ipfs-cluster's and Kubo's names of things that are no secrets."""
MOST_ARGUMENTS = 20
LONGEST = 256
DENIED_A_MINUTE = 120
"""Lines of denied strangers: who knocks all the time must not fill the disk. How many were left out is told."""


def query_of(text: str, *, arguments: bool) -> dict[str, list[str]]:
    """What of a query may be written down. arguments: those of `arg=` too."""
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key in KEYS or (arguments and key == "arg"):
            values = found.setdefault(key, [])
            if len(values) < MOST_ARGUMENTS:
                values.append(value[:LONGEST])
            elif len(values) == MOST_ARGUMENTS:
                values.append("…")
    return found


class AuditLog:
    """Appends lines to a file, each with one write, so that the last one is whole whatever happens to the process.

    Without a path it does nothing. A disk that is full costs lines, never answers, and is complained of once.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        """Raises OSError."""
        self._clock = clock
        self._file: int | None = None
        self._complained = False
        self._minute = 0
        self._denied = 0
        self.reopen(path)

    @property
    def on(self) -> bool:
        """Whether lines go anywhere."""
        return self._file is not None

    def reopen(self, path: Path | None) -> None:
        """Go on in this file, also if it is the same path and the file was moved away. Raises OSError; then lines go
        where they went before.
        """
        new = None if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.close()
        self._file = new

    def close(self) -> None:
        """No more lines."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def record(self, door: str, remote: str, user: str, request: Mapping[str, object], *, denied: bool = False) -> None:
        """Write a line. remote: the client's address. user: who proved to be asking, empty for nobody in particular.
        request: what was asked and how it ended. denied: for its credentials or the lack of them.
        """
        if self._file is None:
            return
        now = self._clock()
        omitted: dict[str, object] = {}
        if denied and not user:
            if int(now // 60) != self._minute:
                if self._denied > DENIED_A_MINUTE:
                    omitted = {"omitted": self._denied - DENIED_A_MINUTE}
                self._minute, self._denied = int(now // 60), 0
            self._denied += 1
            if self._denied > DENIED_A_MINUTE:
                return
        line = {
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "door": door,
            "remote": remote,
            "user": user,
            **request,
            **omitted,
        }
        try:
            os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.error("the audit log cannot be written, lines are lost: %s", error.strerror)
