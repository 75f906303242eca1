"""What all command handlers share: from a request to parsed parameters, from a result or an error to Kubo's answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import ClusterError, InvalidCid, NotPinned
from ipfs_cluster.wire.multipart import MultipartError, MultipartParser, PartEnd, boundary_of
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.wire import gojson
from ipfs_proxy.wire.params import (
    BadRequest,
    InvalidEncoding,
    Option,
    Params,
    UnparsableTimeout,
    check_timeout,
    parse_params,
)

TEXT_PLAIN = {
    "Content-Type": "text/plain; charset=utf-8",
    "Vary": "Origin",
    "X-Content-Type-Options": "nosniff",
}
CONTENT_TYPES = {"json": "application/json", "text": "text/plain", "textnl": "text/plain", "xml": "application/xml"}
CHUNKED_OUTPUT = {"X-Chunked-Output": "1"}
NOT_PINNED = "not pinned or pinned indirectly"
LINE_LIMIT = 64 * 1024

Run = Callable[[Request, Params, "Answer"], Awaitable[None]]


class Answer:
    """The reply of one command under the encoding that the client asked for."""

    def __init__(self, reply: Reply, params: Params, server: Callable[[], str]) -> None:
        self._reply = reply
        self._server = server
        self.encoding = params.encoding
        self.content_type = CONTENT_TYPES.get(self.encoding, "application/json")

    @property
    def started(self) -> bool:
        """True once something has been sent."""
        return self._reply.started

    async def single(self, body: bytes) -> None:
        """The one value of a command that has one: no X-Chunked-Output."""
        await self._reply.start(content_type=self.content_type)
        await self._reply.write(body)
        await self._reply.finish()

    async def begin(self, *, stream: bool = True) -> None:
        """Send the head, if it has not been sent. stream: of a command with any number of values."""
        if not self._reply.started:
            await self._reply.start(content_type=self.content_type, headers=CHUNKED_OUTPUT if stream else {})

    async def begin_bytes(self, content_type: str = "", size: int | None = None) -> None:
        """Send the head of a stream of bytes. content_type: that of the encoding if empty. size: bytes, if known."""
        kind = content_type or ("application/xml" if self.encoding == "xml" else "text/plain")
        length = {} if size is None else {"X-Content-Length": str(size)}
        await self._reply.start(content_type=kind, headers={"X-Stream-Output": "1", **length})

    async def write(self, body: bytes) -> None:
        """A piece of a started answer."""
        await self._reply.write(body)

    async def end(self) -> None:
        """The clean end of a started answer."""
        await self._reply.finish()

    async def error(self, message: str, *, status: int = 500, code: int = 0) -> None:
        """A failure, before or after the first value. code: Kubo's, 1 for what is the client's fault."""
        if self._reply.started:
            await self._reply.fail(message)
            return
        await self._reply.start(status, content_type=self.content_type)
        await self._reply.write(error_body(message, self.encoding, code))
        await self._reply.finish()


def error_body(message: str, encoding: str, code: int = 0) -> bytes:
    """An error value as Kubo encodes it."""
    if encoding in ("text", "textnl"):
        return message.encode("utf-8", "replace")
    if encoding == "xml":
        escaped = message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        escaped = escaped.replace('"', "&#34;").replace("'", "&#39;")
        return f"<Error><Message>{escaped}</Message><Code>{code}</Code></Error>".encode("utf-8", "replace")
    return gojson.value({"Message": message, "Code": code, "Type": "error"})


def command(
    run: Run,
    options: Sequence[Option],
    server: Callable[[], str],
    *,
    required: Sequence[str] = (),
    body: bool = False,
    many: bool = True,
    file: str = "",
) -> Command:
    """A command table entry. required: labels of the arguments that must be there. body: they may come in it, any
    number of them, or one where there is none elsewhere if not many. file: the label of a file that must be in it.
    """

    async def handler(request: Request, reply: Reply) -> None:
        try:
            params = parse_params(request.query, request.tail, options)
            if body and (many or not params.arguments):
                params = await with_body_arguments(request, params, many=many)
            if len(params.arguments) < len(required):
                raise BadRequest(f'argument "{required[len(params.arguments)]}" is required')
            if file and boundary_of(request.headers.get("content-type", "")) is None:
                raise BadRequest(f"file argument '{file}' is required")
            check_timeout(params)
        except InvalidEncoding as error:
            # The one request error that comes from inside the daemon's command server, and so names it.
            await reply.respond(400, f"{error}\n".encode(), headers={**TEXT_PLAIN, "Server": server()})
            return
        except (BadRequest, MultipartError) as error:
            await reply.respond(400, f"{error}\n".encode(), headers=TEXT_PLAIN)
            return
        except UnparsableTimeout:
            await reply.respond(200, b"", headers={"Server": server(), "Vary": "Origin"})
            return
        answer = Answer(reply, params, server)
        try:
            await run(request, params, answer)
        except ClusterError as error:
            await answer.error(message_of(error))

    return Command(handler)


def message_of(error: ClusterError) -> str:
    """The text that a client of Kubo knows for an error of the cluster."""
    if isinstance(error, NotPinned) and str(error) == "pin is not part of the pinset":
        return NOT_PINNED
    return str(error)


async def with_body_arguments(request: Request, params: Params, *, many: bool = True) -> Params:
    """The arguments with those of the body appended: one a line in the first file part; the first only if not many."""
    boundary = boundary_of(request.headers.get("content-type", ""))
    if boundary is None:
        return params
    lines: list[str] = []
    async with aclosing(_body_lines(request, boundary)) as found:
        async for line in found:
            lines.append(line)
            if not many:
                break
    return Params((*params.arguments, *lines), params.options, params.extra)


async def _body_lines(request: Request, boundary: bytes) -> AsyncGenerator[str]:
    parser = MultipartParser(boundary)
    rest = b""
    began = False
    async for data in request.body:
        for event in parser.feed(data):
            began = True
            if isinstance(event, bytes):
                *lines, rest = (rest + event).split(b"\n")
                if len(rest) > LINE_LIMIT:
                    raise BadRequest("argument too long")
                for line in lines:
                    yield line.removesuffix(b"\r").decode("utf-8", "replace")
            elif isinstance(event, PartEnd):
                if rest:
                    yield rest.removesuffix(b"\r").decode("utf-8", "replace")
                return
    if began:
        # The last line may be half a one, and others may be missing.
        raise MultipartError("unexpected EOF")


def bare_cid(argument: str) -> Cid | None:
    """The CID of an argument that names nothing but a CID, so that no node need be asked; None for all else.

    What is malformed is left to the daemon too: its texts name the reason.
    """
    text = argument.removeprefix("/ipfs/").removesuffix("/") if argument.startswith("/ipfs/") else argument
    if "/" in text or ":" in text:
        return None
    try:
        return cids.parse(text)
    except InvalidCid:
        return None


class CidText:
    """How CIDs are shown in an answer: `cid-base` and `upgrade-cidv0-in-output`."""

    def __init__(self, params: Params) -> None:
        """Raises InvalidCid for a base that does not exist."""
        self._base = params.text("cid-base") or None
        upgrade = params.options.get("upgrade-cidv0-in-output")
        self._upgrade = upgrade if isinstance(upgrade, bool) else None
        self.plain = self._base is None and not self._upgrade
        if self._base is not None:
            cids.base_prefix(self._base)

    def __call__(self, cid: Cid) -> str:
        return cids.text_in(cid, self._base, self._upgrade)

    def respelled(self, text: str) -> str:
        """The same for a CID that is there as its usual text."""
        return text if self.plain else self(cids.parse(text))
