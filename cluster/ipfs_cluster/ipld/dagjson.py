"""dag-json as Kubo writes it: no spaces, keys in the order of their bytes, links as {"/": "<cid>"}, bytes as
{"/": {"bytes": "<base64 without padding>"}}, floats in Go's shortest form (so that 1.0 is written, and read, as 1).

Read is JSON with one value, integers of 64 bits with a sign, and no key twice. Stricter than Kubo where JSON is: it
takes [1,] and 01, and makes something of bytes that are not UTF-8.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import NoReturn

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import BadContent, InvalidArgument, InvalidCid
from ipfs_cluster.ipld.values import MAX_DEPTH, CidLink, Value

_ESCAPED = re.compile('["\\\\\x00-\x1f\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def encode(value: Value) -> bytes:
    """The text of a value. Raises InvalidArgument for floats that are no numbers and data nested too deeply."""
    out: list[str] = []
    _write(value, out, 0)
    return "".join(out).encode()


def _write(value: Value, out: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"data of more than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        out.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, int):
        out.append(str(value))
    elif isinstance(value, float):
        out.append(_float(value))
    elif isinstance(value, str):
        out.append(_text(value))
    elif isinstance(value, CidLink):
        out.append(f'{{"/":"{cids.text(value.cid)}"}}')
    elif isinstance(value, bytes):
        out.append(f'{{"/":{{"bytes":"{base64.b64encode(value).decode().rstrip("=")}"}}}}')
    elif isinstance(value, list):
        for position, item in enumerate(value):
            out.append("," if position else "[")
            _write(item, out, depth + 1)
        out.append("]" if value else "[]")
    else:
        for position, key in enumerate(sorted(value, key=str.encode)):
            out.append(f"{',' if position else '{'}{_text(key)}:")
            _write(value[key], out, depth + 1)
        out.append("}" if value else "{}")


def _text(value: str) -> str:
    return '"' + _ESCAPED.sub(lambda found: _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}", value) + '"'


def _float(value: float) -> str:
    """Go's shortest: without an exponent from 1e-6 to below 1e21."""
    if not math.isfinite(value):
        raise InvalidArgument("dag-json has only floats that are numbers")
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, _, power = f"{abs(value)!r}e0".partition("e")
    power = power.removesuffix("e0") or "0"
    whole, _, part = mantissa.partition(".")
    digits = (whole + part.rstrip("0")).lstrip("0") if part != "0" else whole.lstrip("0")
    if not digits:
        return sign + "0"
    point = int(power) + (len(whole) if whole != "0" else len(part.lstrip("0")) - len(part))
    if not 1e-6 <= abs(value) < 1e21:
        rest = f".{digits[1:].rstrip('0')}" if digits[1:].rstrip("0") else ""
        return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    shown = digits.ljust(point, "0")
    rest = shown[point:].rstrip("0")
    return sign + shown[:point] + (f".{rest}" if rest else "")


def decode(raw: bytes) -> Value:
    """The value of a text. Raises BadContent."""
    try:
        text = raw.decode()
        found = _decoder.decode(text)
    except UnicodeDecodeError:
        raise BadContent("dag-json: text that is not UTF-8") from None
    except RecursionError:
        raise BadContent(f"dag-json: data of more than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise BadContent(f"dag-json: {error}") from None
    return _checked(found, 0)


def _checked(value: object, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise BadContent(f"dag-json: data of more than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_checked(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_checked_text(key): _checked(item, depth + 1) for key, item in value.items()}
    if isinstance(value, str):
        return _checked_text(value)
    assert value is None or isinstance(value, bool | int | float | bytes | CidLink)
    return value


def _checked_text(value: str) -> str:
    if not value.isascii() and any(0xD800 <= ord(char) < 0xE000 for char in value):
        raise BadContent("dag-json: half of a surrogate pair")
    return value


def _map(pairs: list[tuple[str, object]]) -> object:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"cannot repeat map key {next(key for key in keys if keys.count(key) > 1)!r}")
    if len(pairs) != 1 or pairs[0][0] != "/":
        return found
    special = pairs[0][1]
    if isinstance(special, str):
        try:
            return CidLink(cids.parse(special))
        except InvalidCid as error:
            raise ValueError(f"invalid cid: {error}") from None
    if isinstance(special, dict) and set(special) == {"bytes"} and isinstance(special["bytes"], str):
        return _bytes(special["bytes"])
    return found


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"bytes: {error}") from None


def _integer(text: str) -> int:
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        raise ValueError(f'strconv.ParseInt: parsing "{text[:40]}": value out of range')
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f'strconv.ParseFloat: parsing "{text[:40]}": value out of range')
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


_decoder = json.JSONDecoder(
    object_pairs_hook=_map, parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=True
)
