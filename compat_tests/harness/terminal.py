"""A command on a terminal of its own, as its user sees it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

CTRL_C = b"\x03"
CLEARED = "\r\x1b[K"
"""Back to the line's beginning, and nothing there."""


class Terminal:
    """A process on it. `shown`: everything so far, lines ending as terminals have them."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=_control
        )
        os.close(slave)
        self._shown = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def shown(self) -> str:
        return self._shown.decode()

    def until(self, text: str, seconds: float = 60) -> None:
        """Until it was shown."""
        deadline = time.monotonic() + seconds
        for _ in self._pieces():
            if text in self.shown:
                return
            assert time.monotonic() < deadline, self.shown
        assert text in self.shown, self.shown

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def end(self) -> int:
        """Everything to the end; the exit status."""
        for _ in self._pieces():
            pass
        return self._process.wait()

    def _pieces(self) -> Iterator[bytes]:
        with contextlib.suppress(OSError):  # how Linux tells that nobody is left on the other side
            while piece := os.read(self._master, 65536):
                self._shown += piece
                yield piece


def _control() -> None:
    """Make the terminal the one whose keys are signals."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
