"""Checks of single settings: from what a file or the environment says to a value, or ValueError with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ipfs_cluster.addresses import AddressError, parse_address, parse_gateway
from ipfs_cluster.logs import parse_levels
from ipfs_cluster.sizes import parse_size

TAG = "tag:"
SCALES = ("freespace", "reposize", "numpin", "pinqueue")
"""What every peer measures and peers can be ordered by."""
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_UNIT = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


_LONGEST = 2**63 * 1e-9
"""Go counts nanoseconds in 63 bits."""


def duration(value: object) -> float:
    """Seconds of a Go duration text ("1m30s"). Raises ValueError."""
    if not isinstance(value, str) or (value != "0" and (not value or _DURATION.sub("", value))):
        raise ValueError('must be a duration such as "1m30s"')
    seconds = sum(float(number) * _UNIT[unit] for number, unit in _DURATION.findall(value))
    if seconds >= _LONGEST:
        raise ValueError("must not be longer than 2562047h")
    return seconds


def positive_duration(value: object) -> float:
    """A duration above zero."""
    seconds = duration(value)
    if seconds <= 0:
        raise ValueError("must be longer than 0s")
    return seconds


def text(value: object) -> str:
    """Any string."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def log_levels(value: object) -> str:
    """Levels such as "info,restapi:debug", or nothing."""
    given = text(value)
    parse_levels(given)
    return given


def secret(value: object) -> str:
    """32 bytes in hexadecimal, or nothing."""
    if not isinstance(value, str) or (value and not re.fullmatch(r"[0-9a-fA-F]{64}", value)):
        raise ValueError("must be 64 hexadecimal digits or empty")
    return value


def secret_file(path: object) -> str:
    """What stands in a file, without white space around it."""
    try:
        return Path(text(path)).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read the secret file: {error.strerror}") from None


def header_value(value: object) -> str:
    """Text that can stand in one line of a request head."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("must be one line of text")
    return value


def boolean(value: object) -> bool:
    """true or false; from the environment also the words."""
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def integer(value: object) -> int:
    """A whole number."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def positive(value: object) -> int:
    """A whole number above zero."""
    number = integer(value)
    if number <= 0:
        raise ValueError("must be larger than 0")
    return number


def natural(value: object) -> int:
    """A whole number, 0 too."""
    number = integer(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def size(value: object) -> int:
    """Bytes, as a number or as a text such as "10GB". No percent: daemons do not tell how large their disks are."""
    if isinstance(value, str):
        return parse_size(value)
    return natural(value)


def factor(value: object) -> int:
    """A replication factor: -1 or positive."""
    number = integer(value)
    if number != -1 and number < 1:
        raise ValueError("must be -1 (everywhere) or positive")
    return number


def strings(value: object) -> tuple[str, ...]:
    """A list of strings, a single one, or from the environment a comma-separated one."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a string or a list of strings")
    return tuple(value)


def metric_names(value: object) -> tuple[str, ...]:
    """Names of metrics that allocation can go by."""
    found = strings(value)
    if not found:
        raise ValueError("must name at least one metric")
    for name in found:
        if name == TAG or not (name in SCALES or name.startswith(TAG)):
            raise ValueError(f"{name} is none of {TAG}NAME, {', '.join(SCALES)}")
    return found


def missing_tags(allocate_by: Iterable[str], nodes: Iterable[Iterable[tuple[str, str]]]) -> list[str]:
    """What is wrong with going by a tag that no node has: nothing could be allocated to anybody. nodes: their tags."""
    known = {TAG + name for tags in nodes for name, _ in tags}
    return [
        f'allocator.balanced.allocate_by: "{name}": no node has this tag; '
        "give the nodes one (informer.tags.tags, or tags of a node), or leave it out"
        for name in allocate_by
        if name.startswith(TAG) and name not in known
    ]


def addresses(value: object) -> tuple[str, ...]:
    """One or more multiaddrs that can be listened on or dialled."""
    found = strings(value)
    if not found:
        raise ValueError("needs at least one address")
    for item in found:
        try:
            parse_address(item)
        except AddressError as error:
            raise ValueError(str(error)) from None
    return found


def address(value: object) -> str:
    """Exactly one multiaddr."""
    found = addresses(value)
    if len(found) > 1:
        raise ValueError("must be one address")
    return found[0]


def mapping(value: object) -> tuple[tuple[str, str], ...]:
    """A map of strings; from the environment "k:v,k:v"."""
    if isinstance(value, str):
        items = strings(value)
        if not all(":" in item for item in items):
            raise ValueError('must be "key:value,key:value"')
        value = dict(item.split(":", 1) for item in items)
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be a map of strings")
    return tuple((str(key), item) for key, item in value.items())


def headers(value: object) -> tuple[tuple[str, str], ...]:
    """Header names, each with a value or a list of them; from the environment "name:value,name:value"."""
    if isinstance(value, str):
        value = dict(mapping(value))
    if not isinstance(value, dict):
        raise ValueError("must be a map of header names to lists of values")
    found = []
    for name, given in value.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"{json.dumps(name, default=str)} is no header name")
        if name.lower() in _FRAMING:
            raise ValueError(f"{name} is the server's own")
        items = [given] if isinstance(given, str) else given
        if not isinstance(items, list):
            raise ValueError(f"{name}: must be a string or a list of strings")
        found += [(name, header_value(item)) for item in items]
    return tuple(found)


_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "trailer", "upgrade", "content-type"})


def header_names(value: object) -> tuple[str, ...]:
    """Names of headers, or * for any."""
    found = strings(value)
    for name in found:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{json.dumps(name)} is no header name")
    return found


def methods(value: object) -> tuple[str, ...]:
    """Methods of HTTP."""
    found = tuple(name.upper() for name in strings(value))
    for name in found:
        if name not in METHODS:
            raise ValueError(f"{name} is none of {', '.join(METHODS)}")
    return found


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def origins(value: object) -> tuple[str, ...]:
    """Origins of web pages, such as https://app.example:8080; one * in each may stand for anything."""
    found = strings(value)
    for origin in found:
        if origin != "*" and (not _ORIGIN.fullmatch(origin) or origin.count("*") > 1):
            raise ValueError(f"{json.dumps(origin)} is no origin such as https://app.example:8080")
    return found


_ORIGIN = re.compile(r"[a-zA-Z][a-zA-Z0-9+.*-]*://[^/?#\s]+|null")


def gateways(value: object) -> tuple[str, ...]:
    """URLs of trustless gateways, without the path that they serve content under."""
    return tuple(parse_gateway(url) for url in strings(value))


def header_bytes(value: object) -> int:
    """A size that requests with their usual headers fit into."""
    number = integer(value)
    if number < 4096:
        raise ValueError("must be 4096 or more")
    return number


def choice(*allowed: str) -> Callable[[object], str]:
    """One of these words."""

    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return check
