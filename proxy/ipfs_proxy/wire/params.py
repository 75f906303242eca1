"""The query string of a command, read as go-ipfs-cmds reads it: options, aliases, arguments, and its error texts.

Sans-IO. Unknown options are ignored, as the daemon ignores them; what it would refuse raises `BadRequest` with the
text that the daemon sends with status 400.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

Value = bool | int | float | str


class BadRequest(Exception):
    """A request error: answered with 400, text/plain."""


class InvalidEncoding(BadRequest):
    """An encoding that does not exist."""


class UnparsableTimeout(Exception):
    """Kubo answers a timeout that it cannot parse with an empty 200."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command: its canonical name, type (bool, int or str), aliases and default. go: Go's name of the
    type where it is another, "int64" or "uint".
    """

    name: str
    kind: type
    aliases: tuple[str, ...] = ()
    default: Value | None = None
    go: str = ""


GLOBAL = (
    Option("encoding", str, ("enc",), "json"),
    Option("stream-channels", bool, (), True),
    Option("timeout", str),
    Option("offline", bool),
    Option("local", bool, ("L",)),
    Option("cid-base", str),
    Option("upgrade-cidv0-in-output", bool),
    Option("debug", bool, ("D",)),
    Option("help", bool, ("h",)),
    Option("api-auth", str),
)
ENCODINGS = frozenset({"json", "text", "xml", "textnl"})


@dataclass(frozen=True, slots=True)
class Params:
    """What a request says. arguments: the `arg` values in order. options: by canonical name, defaults filled in.
    extra: all other keys with their values, for the cluster's own options.
    """

    arguments: tuple[str, ...]
    options: Mapping[str, Value]
    extra: Mapping[str, str]

    def flag(self, name: str) -> bool:
        """A bool option; absent is False."""
        return self.options.get(name) is True

    def text(self, name: str) -> str | None:
        """A string option; absent is None."""
        value = self.options.get(name)
        return None if value is None else str(value)

    @property
    def encoding(self) -> str:
        """The response encoding asked for."""
        return self.text("encoding") or "json"

    @property
    def timeout(self) -> float | None:
        """Seconds of the `timeout` option; None for none. Checked when the request was parsed."""
        value = self.text("timeout")
        return parse_duration(value) if value else None


_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def parse_query(query: str) -> list[tuple[str, str]]:
    """The pairs of a query string, in order; a key without "=" has the value "".

    query: raw, its bytes above 0x7f as latin-1 (they are UTF-8). Pairs that Go drops are dropped: with ";" or with a
    "%" that escapes nothing.
    """
    if not query.isascii():
        query = quote(query, safe=_ASCII, encoding="latin-1")
    pairs = []
    for item in query.split("&"):
        if item and ";" not in item and not ("%" in item and _BAD_ESCAPE.search(item)):
            key, _, value = item.partition("=")
            pairs.append((unquote_plus(key), unquote_plus(value)))
    return pairs


def parse_params(query: str, tail: Sequence[str], options: Sequence[Option]) -> Params:
    """Read a command's query. tail: path segments, which come before the `arg` values.

    Raises BadRequest; UnparsableTimeout only after everything else was found good, as the daemon looks at it last.
    """
    values: dict[str, list[str]] = {}
    for key, value in parse_query(query):
        values.setdefault(key, []).append(value)
    arguments = (*tail, *values.pop("arg", ()))
    table = {name: option for option in (*GLOBAL, *options) for name in (option.name, *option.aliases)}
    found: dict[str, Value] = {
        option.name: option.default for option in (*GLOBAL, *options) if option.default is not None
    }
    extra: dict[str, str] = {}
    for key, given in values.items():
        option = table.get(key)
        if option is None:
            extra[key] = given[0]
            continue
        if len(given) > 1:
            raise BadRequest(f"expected key {key} to have only a single value, received [{' '.join(given)}]")
        found[option.name] = _convert(key, option, given[0])
    if found["encoding"] not in ENCODINGS:
        raise InvalidEncoding(f"invalid encoding: {found['encoding']}")
    return Params(arguments, found, extra)


def check_timeout(params: Params) -> None:
    """Raise UnparsableTimeout when the `timeout` option is no Go duration."""
    value = params.text("timeout")
    if value is not None and value != "":
        try:
            parse_duration(value)
        except ValueError:
            raise UnparsableTimeout(value) from None


def _convert(key: str, option: Option, text: str) -> Value:
    kind = option.kind
    if kind is str:
        return text
    if kind is bool:
        lowered = text.lower()
        if lowered in ("", "1", "t", "true"):
            return True
        if lowered in ("0", "f", "false"):
            return False
    elif (number := _integer(text)) is not None and (number >= 0 or option.go != "uint"):
        return number
    value = f'value "{text}"' if text else "empty value"
    raise BadRequest(f'could not convert {value} to type "{option.go or kind.__name__}" (for option "-{key}")')


_OCTAL = re.compile("([+-]?)0_?([0-7].*)")
_INTEGER = re.compile("[+-]?[0-9A-Za-z_]+")


def _integer(text: str) -> int | None:
    """A Go int with base 0: 42, 0x1F, 0b1, 0o17, 017, 1_000; None for what it cannot be."""
    if _INTEGER.fullmatch(text) is None:
        return None
    try:
        number = int(_OCTAL.sub(r"\1\g<2>", text), 8) if _OCTAL.fullmatch(text) else int(text, 0)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


_UNIT = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 2**63 * 1e-9
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds of a Go duration ("300ms", "1m30s", "0"). Raises ValueError."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0.0
    if not body or _PART.sub("", body):
        raise ValueError(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNIT[unit] for number, unit in _PART.findall(body))
    if seconds >= _LONGEST:
        raise ValueError(f'time: invalid duration "{text}"')
    return -seconds if text.startswith("-") else seconds
