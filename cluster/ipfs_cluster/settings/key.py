"""One setting: where it stands, what it may be, whether it can change while the service runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


class SettingsError(Exception):
    """The configuration cannot be used; the message lists every problem, one a line."""


def _nothing(_value: object) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. section: dotted. secret: its value is never shown, and its variable may name a file.
    reload: SIGHUP changes it. caution: what whoever wrote a value that is right should know about it.
    """

    section: str
    name: str
    default: Any
    parse: Callable[[object], Any]
    secret: bool = False
    reload: bool = False
    caution: Callable[[object], list[str]] = _nothing

    @property
    def path(self) -> str:
        """section.name"""
        return f"{self.section}.{self.name}"

    @property
    def env(self) -> str:
        """The environment variable, as ipfs-cluster names it."""
        component = self.section.rsplit(".", 1)[-1]
        middle = "" if component == "cluster" else f"{_ENV_COMPONENT.get(component, component.upper())}_"
        return f"CLUSTER_{middle}{self.name.replace('_', '').upper()}"


_ENV_COMPONENT = {"ipfs_connector": "IPFSCONNECTOR"}


def under(section: str, names: str) -> Iterator[str]:
    """Dotted paths of a section's keys, whose names are separated by spaces."""
    return (f"{section}.{name}" for name in names.split())
