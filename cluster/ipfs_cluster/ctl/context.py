"""What the functions of commands get, and what they give."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ipfs_cluster.client.calls import Call, joined
from ipfs_cluster.client.over_requests import RequestsTransport
from ipfs_cluster.ctl.errors import LocalError
from ipfs_cluster.settings.values import duration

Answers = Iterator[tuple[Any, str | None]]
"""A command's answers: the JSON value and its text form, None for one that is shown as JSON only."""
Arguments = argparse.Namespace


@dataclass(frozen=True, slots=True)
class Context:
    """The API and the time. now: seconds that only grow; sleep: of seconds."""

    api: RequestsTransport
    json: bool = False
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def answers(self, call: Call[Any], text: Callable[[Any], str | None]) -> Answers:
        """The values of an answer as they come, with their text forms unless JSON is shown. Raises ClientError."""
        for value in self.api.values(call):
            yield value, None if self.json else call.read(text, value)

    def note(self, text: str) -> None:
        """Say on a terminal's one line how far it is; an empty text clears the line."""
        if not self.json and sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


def seconds(text: str, doing: str) -> float:
    """Of a Go duration; 0 without one. Raises LocalError."""
    try:
        return duration(text) if text else 0.0
    except ValueError as error:
        raise LocalError(f"parsing {doing}", str(error)) from None


def pairs(texts: list[str]) -> dict[str, str]:
    """KEY=VALUE as parameters meta-KEY. Raises LocalError."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise LocalError("parsing metadata", "metadata were not in the format key=value")
        found[f"meta-{key}"] = value
    return found


def listed(text: str) -> str:
    """A comma-separated list without blanks."""
    return joined(text.split(","))
