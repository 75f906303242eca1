"""What an import is asked for: the options of `add` and `Import.*`, how they depend on each other, and its refusals.

Rules and error texts: spec 2.7, 4.1 and 4.7. Anything that would give another CID than the daemon's is refused.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipfs_cluster import multihash
from ipfs_cluster.errors import InvalidArgument
from ipfs_cluster.unixfs.model import NO_METADATA, Metadata, Mtime

MAX_INLINE = 128
MAX_LINKS = 174


class Layout(enum.StrEnum):
    """The shape of a file's tree."""

    BALANCED = "balanced"
    TRICKLE = "trickle"


class Estimation(enum.StrEnum):
    """How the size of a directory is told when it is decided whether it becomes a HAMT.

    LINKS: names and CIDs; BLOCK: the exact bytes of its block; DISABLED: not at all, only the number of links counts.
    """

    LINKS = "links"
    BLOCK = "block"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Settled options: `resolve` makes them from what was asked. The defaults are the daemon's.

    inline_limit: bytes up to which a block lives in its CID, None for never. max_directory_links: 0 is no limit.
    hamt_threshold: bytes, 0 is never. metadata: for every entry, over what is preserved.
    preserve_mode and preserve_mtime: whether entries keep their own.
    """

    cid_version: int = 0
    hash_function: str = "sha2-256"
    raw_leaves: bool = False
    chunker: str = ""
    layout: Layout = Layout.BALANCED
    max_links: int = MAX_LINKS
    inline_limit: int | None = None
    max_directory_links: int = 0
    hamt_fanout: int = 256
    hamt_threshold: int = 256 << 10
    estimation: Estimation = Estimation.LINKS
    metadata: Metadata = NO_METADATA
    preserve_mode: bool = False
    preserve_mtime: bool = False
    wrap: bool = False
    empty_dirs: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """Options as they were given, None for what was not."""

    cid_version: int | None = None
    hash_function: str | None = None
    raw_leaves: bool | None = None
    chunker: str | None = None
    trickle: bool = False
    max_links: int | None = None
    inline: bool = False
    inline_limit: int = 32
    max_directory_links: int | None = None
    hamt_fanout: int | None = None
    hamt_threshold: int | None = None
    estimation: Estimation | None = None
    mode: int = 0
    mtime: int = 0
    mtime_nanos: int = 0
    preserve_mode: bool = False
    preserve_mtime: bool = False
    wrap: bool = False
    empty_dirs: bool = True


def resolve(asked: Asked) -> ImportOptions:
    """Settle the options. Raises InvalidArgument with Kubo's text, and for the fault that Kubo would name first."""
    _check_raw_leaves(asked)
    metadata = _metadata(asked)
    name = multihash.recognised(asked.hash_function or "sha2-256")
    version = _version(asked, name)
    function = multihash.named(name)
    if asked.inline and asked.inline_limit > MAX_INLINE:
        raise InvalidArgument(f"inline-limit {asked.inline_limit} exceeds maximum allowed size of {MAX_INLINE} bytes")
    fanout = 256 if asked.hamt_fanout is None else asked.hamt_fanout
    if not 8 <= fanout <= 1024 or fanout & (fanout - 1):
        raise InvalidArgument(f"HAMT fanout must be a power of 2, between 8 and 1024 (got {fanout})")
    max_links = MAX_LINKS if asked.max_links is None else asked.max_links
    if max_links < 2:
        raise InvalidArgument(f"a node of a file needs at least 2 links, not {max_links}")
    return ImportOptions(
        cid_version=version,
        hash_function=function.name,
        raw_leaves=_raw_leaves(asked, version),
        chunker=asked.chunker or "",
        layout=Layout.TRICKLE if asked.trickle else Layout.BALANCED,
        max_links=max_links,
        inline_limit=asked.inline_limit if asked.inline else None,
        max_directory_links=max(0, asked.max_directory_links or 0),
        hamt_fanout=fanout,
        hamt_threshold=256 << 10 if asked.hamt_threshold is None else asked.hamt_threshold,
        estimation=asked.estimation or Estimation.LINKS,
        metadata=metadata,
        preserve_mode=asked.preserve_mode,
        preserve_mtime=asked.preserve_mtime,
        wrap=asked.wrap,
        empty_dirs=asked.empty_dirs,
    )


def _version(asked: Asked, name: str) -> int:
    version = asked.cid_version
    if version is not None and version < 0:
        version = None
    if name != "sha2-256":
        if version == 0:
            raise InvalidArgument("CIDv0 only supports sha2-256")
        version = 1 if version is None else version
    if version not in (None, 0, 1):
        raise InvalidArgument(f"unknown CID version: {version}")
    return version or 0


def _check_raw_leaves(asked: Asked) -> None:
    if asked.raw_leaves and _has_metadata(asked):
        raise InvalidArgument("raw-leaves can't be used with UnixFS metadata like mode or modification time")


def _has_metadata(asked: Asked) -> bool:
    return bool(asked.preserve_mode or asked.preserve_mtime or asked.mode or asked.mtime)


def _raw_leaves(asked: Asked, version: int) -> bool:
    if _has_metadata(asked):
        return False
    return version == 1 if asked.raw_leaves is None else asked.raw_leaves


def _metadata(asked: Asked) -> Metadata:
    if asked.mtime_nanos and not asked.mtime:
        raise InvalidArgument('option "mtime-nsecs" requires "mtime" to be provided as well')
    if not 0 <= asked.mtime_nanos <= 999_999_999:
        raise InvalidArgument("mtime nanoseconds must be in range [1, 999999999]")
    mtime = Mtime(asked.mtime, asked.mtime_nanos) if asked.mtime else None
    return Metadata(asked.mode & 0o777, mtime)
