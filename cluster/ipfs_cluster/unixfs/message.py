"""The UnixFS message inside a dag-pb node (spec 4.3): what kind of thing it is, its bytes, sizes, mode and times."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from ipfs_cluster.unixfs import protobuf
from ipfs_cluster.unixfs.model import Metadata, Mtime
from ipfs_cluster.unixfs.protobuf import FIXED32, VARINT, Malformed, number, prefix, signed

MURMUR3_X64_64 = 0x22


class Kind(enum.IntEnum):
    """DataType of the UnixFS schema."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message. filesize is None when absent; sizes: file bytes below each link."""

    kind: Kind
    data: memoryview
    filesize: int | None
    sizes: tuple[int, ...]
    hash_type: int
    fanout: int
    metadata: Metadata


def encode_metadata(metadata: Metadata) -> bytes:
    """Fields 7 and 8; nothing for what is unset."""
    out = number(0x38, metadata.mode) if metadata.mode else b""
    if metadata.mtime is not None:
        seconds, nanos = metadata.mtime
        body = number(0x08, seconds)
        if nanos:
            body += b"\x15" + nanos.to_bytes(4, "little")
        out += prefix(0x42, len(body)) + body
    return out


def around(kind: Kind, length: int, metadata: bytes = b"") -> tuple[bytes, bytes]:
    """What stands before and after `length` bytes of content in a leaf: (prefix, suffix)."""
    before = number(0x08, kind)
    if length:
        before += prefix(0x12, length)
    return before, number(0x18, length) + metadata


def file_node(sizes: Iterable[int], total: int, metadata: bytes = b"") -> bytes:
    """An internal node of a file: no bytes of its own, one size a link."""
    return number(0x08, Kind.FILE) + number(0x18, total) + b"".join([number(0x20, size) for size in sizes]) + metadata


def symlink(target: bytes, metadata: bytes = b"") -> bytes:
    """A symbolic link."""
    return number(0x08, Kind.SYMLINK) + prefix(0x12, len(target)) + target + metadata


def directory(metadata: bytes = b"") -> bytes:
    """A basic directory."""
    return number(0x08, Kind.DIRECTORY) + metadata


def shard(bitfield: bytes, fanout: int, metadata: bytes = b"") -> bytes:
    """A node of a HAMT directory."""
    head = number(0x08, Kind.HAMT_SHARD) + prefix(0x12, len(bitfield)) + bitfield
    return head + number(0x28, MURMUR3_X64_64) + number(0x30, fanout) + metadata


def decode(raw: bytes | memoryview) -> Message:
    """A message. Unknown fields are ignored, as protobuf does. Raises Malformed."""
    kind: Kind | None = None
    data = memoryview(b"")
    filesize: int | None = None
    sizes: list[int] = []
    numbers = {5: 0, 6: 0, 7: 0}
    mtime: Mtime | None = None
    for field, wire, value in protobuf.fields(raw):
        if isinstance(value, memoryview):
            if field == 2:
                data = value
            elif field == 8:
                mtime = _mtime(value)
            elif field == 4:
                sizes.extend(_packed(value))
            elif field in (1, 3, 5, 6, 7):
                raise Malformed(f"field {field} of a UnixFS message has wire type {wire}")
        elif field in (2, 8) or (wire != VARINT and 1 <= field <= 8):
            raise Malformed(f"field {field} of a UnixFS message has wire type {wire}")
        elif field == 1:
            if value not in Kind._value2member_map_:
                raise Malformed(f"unknown UnixFS type {value}")
            kind = Kind(value)
        elif field == 3:
            filesize = value
        elif field == 4:
            sizes.append(value)
        elif field in numbers:
            numbers[field] = value
    if kind is None:
        raise Malformed("a UnixFS message without a type")
    metadata = Metadata(numbers[7] & 0xFFFFFFFF, mtime)
    return Message(kind, data, filesize, tuple(sizes), numbers[5], numbers[6], metadata)


def _packed(view: memoryview) -> Iterable[int]:
    at = 0
    while at < len(view):
        value, at = protobuf.read_varint(view, at)
        yield value


def _mtime(raw: memoryview) -> Mtime:
    seconds: int | None = None
    nanos = 0
    for field, wire, value in protobuf.fields(raw):
        if field == 1 and wire == VARINT and isinstance(value, int):
            seconds = signed(value)
        elif field == 2 and wire == FIXED32 and isinstance(value, int):
            nanos = value
        elif field in (1, 2):
            raise Malformed(f"field {field} of a time has wire type {wire}")
    if seconds is None or nanos > 999_999_999:
        raise Malformed("a time of modification without seconds or with too many nanoseconds")
    return Mtime(seconds, nanos)
