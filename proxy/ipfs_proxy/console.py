"""What the command says to its operator, and asks."""

from __future__ import annotations

import getpass
import sys
from types import TracebackType
from typing import Self


class Failure(Exception):
    """The command cannot go on; the message says why and what to do."""


def say(line: str) -> None:
    """One line for the operator; the service manager or terminal reads it at once. Raises Failure, BrokenPipeError."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"standard output: {error.strerror}") from None


def asked(prompt: str) -> str:
    """A secret from the terminal, where it is not shown. Raises Failure."""
    try:
        return getpass.getpass(prompt, sys.stderr)
    except EOFError:
        raise Failure("nothing was entered") from None


def confirm(question: str, *, force: bool) -> None:
    """Return when the operator agrees, on the terminal or by --force. Raises Failure."""
    if force:
        return
    if not sys.stdin.isatty():
        raise Failure(f"{question} There is no terminal to ask on: --force says yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was changed")


class Progress:
    """A count on the terminal, on one line of stderr that goes when the work ends; nothing where there is none."""

    EACH = 10_000

    def __init__(self, verb: str, total: int | None = None) -> None:
        self._verb = verb
        self._of = "" if total is None else f" of {total:,}"
        self._shown = sys.stderr.isatty()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._count >= self.EACH:
            sys.stderr.write("\r\x1b[K")

    @property
    def count(self) -> int:
        """Steps so far."""
        return self._count

    def step(self) -> None:
        """One more."""
        self._count += 1
        if self._shown and self._count % self.EACH == 0:
            sys.stderr.write(f"\r{self._verb}: {self._count:,}{self._of} pins")
            sys.stderr.flush()
