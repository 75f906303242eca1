"""The file parts of a request's body, one after the other, as streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from ipfs_cluster.errors import NodeError
from ipfs_cluster.unixfs.model import MAX_BLOCK
from ipfs_cluster.wire.multipart import MultipartError, MultipartParser, Part, PartEnd, boundary_of
from ipfs_proxy.front.exchange import Request

BIG_BLOCK = (
    "produced block is over 2MiB: big blocks can't be exchanged with other peers. consider using UnixFS for automatic "
    "chunking of bigger files, or pass --allow-big-block to override"
)
NO_BIG_BLOCK = "an embedded node keeps no block over 2MiB"


@dataclass(frozen=True, slots=True)
class Upload:
    """One part and its content, which has to be read before the next part comes; what is left of it is skipped."""

    part: Part
    content: AsyncIterator[bytes]


async def uploads(request: Request) -> AsyncGenerator[Upload]:
    """The parts of a multipart body. Raises NodeError for one that is cut or malformed."""
    boundary = boundary_of(request.headers.get("content-type", ""))
    if boundary is None:
        return
    events = _events(request, boundary)
    try:
        async for event in events:
            if not isinstance(event, Part):
                continue
            if not event.readable:
                return
            content = _content(events)
            yield Upload(event, content)
            async for _ in content:
                pass
    finally:
        await events.aclose()


async def _events(request: Request, boundary: bytes) -> AsyncGenerator[Part | bytes | PartEnd]:
    parser = MultipartParser(boundary)
    try:
        async for data in request.body:
            for event in parser.feed(data):
                yield event
    except MultipartError as error:
        raise NodeError(str(error)) from None
    if not parser.finished:
        raise NodeError("unexpected EOF")


async def _content(events: AsyncIterator[Part | bytes | PartEnd]) -> AsyncGenerator[bytes]:
    async for event in events:
        if isinstance(event, PartEnd):
            return
        assert isinstance(event, bytes)
        yield event


async def whole_block(upload: Upload, *, big: bool) -> bytes:
    """A part that is to be one block. big: the client allows more than 2 MiB, which are not kept here either."""
    data = bytearray()
    async for piece in upload.content:
        data += piece
        if len(data) > MAX_BLOCK:
            raise NodeError(NO_BIG_BLOCK if big else BIG_BLOCK)
    return bytes(data)
