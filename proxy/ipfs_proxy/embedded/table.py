"""The command table of an embedded node: what each command takes, and the frame in which all of them run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ipfs_cluster.errors import DeadlineExceeded
from ipfs_proxy.front.alone import NO_COMMAND
from ipfs_proxy.front.exchange import Command, Reply, Request
from ipfs_proxy.rpc.run import Answer, CidText, command
from ipfs_proxy.wire import gojson, goxml
from ipfs_proxy.wire.params import Option, Params


@dataclass(frozen=True, slots=True)
class Shown:
    """One value of an answer in all its forms. fields: of the JSON object, in order. kind: the Go type's name, which
    XML begins with. text: what the `ipfs` command would print.
    """

    fields: Any
    kind: str
    text: str = ""

    def encoded(self, encoding: str) -> bytes:
        """In the encoding that was asked for."""
        if encoding in ("text", "textnl"):
            return self.text.encode("utf-8", "replace")
        if encoding == "xml":
            return goxml.element(self.kind, self.fields).encode("utf-8", "replace")
        return gojson.value(self.fields)


class Call:
    """One request to a command: its parameters, and the answer as values."""

    def __init__(self, request: Request, params: Params, answer: Answer) -> None:
        self.request = request
        self.params = params
        self.answer = answer
        self._show: CidText | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """The string arguments, those of the body too."""
        return self.params.arguments

    @property
    def show(self) -> CidText:
        """How CIDs are written. Raises InvalidCid for a base that does not exist."""
        if self._show is None:
            self._show = CidText(self.params)
        return self._show

    async def single(self, value: Shown) -> None:
        """The only value of a command that has one."""
        await self.answer.single(value.encoded(self.answer.encoding))

    async def emit(self, *values: Shown) -> None:
        """Further values of a stream."""
        await self.answer.begin()
        await self.answer.write(b"".join([value.encoded(self.answer.encoding) for value in values]))

    async def begin_bytes(self, content_type: str = "", size: int | None = None) -> None:
        """Begin a stream of bytes. content_type: of the command's own, whatever the encoding. size: if it is known."""
        await self.answer.begin_bytes(content_type, size)

    async def end(self) -> None:
        """The end of a stream, also of one without any value."""
        await self.answer.begin()
        await self.answer.end()


Run = Callable[[Call], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. required: labels of the arguments that must be there. body: string arguments may come in the body;
    many: any number of them. file: label of the file argument, which only a multipart body has. timed: the `timeout`
    option ends it; else it sees to that itself.
    """

    run: Run
    options: Sequence[Option] = ()
    required: Sequence[str] = ()
    body: bool = False
    many: bool = False
    file: str = ""
    timed: bool = True

    def command(self, server: Callable[[], str]) -> Command:
        """As the front wants it. server: the Server header."""

        async def run(request: Request, params: Params, answer: Answer) -> None:
            try:
                async with asyncio.timeout(params.timeout if self.timed else None):
                    await self.run(Call(request, params, answer))
            except TimeoutError:
                raise DeadlineExceeded from None

        return command(
            run,
            self.options,
            server,
            required=self.required,
            body=self.body,
            many=self.many,
            file=self.file,
        )


def commands(entries: Mapping[str, Entry], server: Callable[[], str]) -> dict[str, Command]:
    """The front's table: the entries, and their parents, which answer nothing."""
    made = {name: entry.command(server) for name, entry in entries.items()}
    parents = {name.rpartition("/")[0] for name in entries} - {""} - set(entries)
    return made | {name: _parent(server) for name in parents}


def _parent(server: Callable[[], str]) -> Command:
    async def nothing(call: Call) -> None:
        await call.end()

    inner = Entry(nothing).command(server)

    async def handler(request: Request, reply: Reply) -> None:
        if request.tail:
            await reply.respond(NO_COMMAND.status, NO_COMMAND.body, headers=NO_COMMAND.headers)
        else:
            await inner.handler(request, reply)

    return Command(handler)
