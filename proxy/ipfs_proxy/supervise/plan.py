"""What the end of a process means, and when it is started again. Without I/O."""

from __future__ import annotations

import signal
from dataclasses import dataclass

GRACE = 10.0
"""Seconds that a node gets to end in good order."""
FIRST = 1.0
LONGEST = 60.0
STEADY = 60.0
"""Seconds that a process has to run until its failures before are forgotten."""
CRASHES = frozenset(
    {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
)
"""Signals that a process gets for what it did itself."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended. words: for "process 123 …". told: somebody outside ended it, by a signal or by asking it
    to stop; else it failed by itself.
    """

    words: str
    told: bool


def ending(status: int, reason: str = "") -> Ending:
    """From an exit status as `subprocess` has it: negative for a signal. reason: what it said before."""
    if status == 0:
        return Ending("ended as it was told to", told=True)
    if status > 0:
        return Ending(f"failed: {reason}" if reason else f"failed with exit status {status}", told=False)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if -status in CRASHES:
        return Ending(f"crashed ({name})", told=False)
    return Ending(f"was ended by {name}", told=True)


class Restarts:
    """When one process is started again. pause: seconds after somebody ended it; may be changed."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self._failures = 0

    def after(self, end: Ending, lasted: float) -> float:
        """Seconds to wait. lasted: how long the process ran. Failures in a row wait twice as long each."""
        if lasted >= STEADY:
            self._failures = 0
        if end.told:
            return self.pause
        self._failures += 1
        return min(FIRST * 2.0 ** (self._failures - 1), LONGEST)
