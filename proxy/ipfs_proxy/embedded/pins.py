"""`pin/add`, `pin/rm`, `pin/ls`, `pin/update`, `pin/verify` of one node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from ipfs_cluster import Cid, Progress
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import ClusterError, DeadlineExceeded, InvalidArgument, NodeError
from ipfs_cluster.model import PinMode
from ipfs_cluster.tasks import alongside
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver
from ipfs_proxy.embedded.table import Call, Entry
from ipfs_proxy.rpc import pinshapes
from ipfs_proxy.rpc.options import check_name
from ipfs_proxy.rpc.pinshapes import ARGUMENT, TYPES, Line

PROGRESS_INTERVAL = 0.5


def pin_entries(node: Node, tick: Callable[[float], Awaitable[None]]) -> dict[str, Entry]:
    """The table of these commands. tick: sleeps."""
    pins = Pins(node, tick)
    return {
        "pin/add": Entry(pins.add, pinshapes.ADD, (ARGUMENT,), body=True, many=True, timed=False),
        "pin/rm": Entry(pins.rm, pinshapes.RM, (ARGUMENT,), body=True, many=True),
        "pin/ls": Entry(pins.ls, pinshapes.LS),
        "pin/update": Entry(pins.update, pinshapes.UPDATE, ("from-path", "to-path")),
        "pin/verify": Entry(pins.verify, pinshapes.VERIFY),
    }


class _Count:
    """Blocks and bytes over all arguments of one request."""

    def __init__(self) -> None:
        self._before = Progress()
        self.now = Progress()

    def seen(self, nodes: int, size: int) -> None:
        self.now = Progress(self._before.nodes + nodes, self._before.bytes + size)

    def next(self) -> None:
        self._before = self.now


class Pins:
    """The handlers."""

    def __init__(self, node: Node, tick: Callable[[float], Awaitable[None]]) -> None:
        self._node = node
        self._tick = tick

    # --- pin/add ---

    async def add(self, call: Call) -> None:
        """One argument after the other; those before one that fails stay pinned."""
        show = call.show
        check_name(call.params.text("name"))
        mode = PinMode.RECURSIVE if call.params.flag("recursive") else PinMode.DIRECT
        progress = call.params.flag("progress")
        count, pinned = _Count(), list[Cid]()
        try:
            async with asyncio.timeout(call.params.timeout):
                if progress:
                    async with alongside(self._report(count, call)):
                        await self._all(call, mode, count, pinned)
                    if count.now.nodes:
                        await call.answer.begin()
                        await call.answer.write(pinshapes.progress(count.now, call.answer.encoding))
                else:
                    await self._all(call, mode, count, pinned)
        except TimeoutError:
            raise DeadlineExceeded(_deadline_text(call, len(pinned))) from None
        shown = [show(cid) for cid in pinned]
        text = call.answer.encoding == "text"
        body = pinshapes.pinned_text(shown, mode) if text else pinshapes.added(shown, call.answer.encoding)
        if not progress:
            await call.answer.single(body)
            return
        await call.answer.begin()
        await call.answer.write(body)
        await call.answer.end()

    async def _all(self, call: Call, mode: PinMode, count: _Count, pinned: list[Cid]) -> None:
        offline = call.params.flag("offline")
        resolver = Resolver(self._node, offline=offline)
        name = call.params.text("name") or ""
        for argument in call.arguments:
            cid = await resolver.cid(argument)
            try:
                await self._node.pin(cid, mode, name, count.seen, offline=offline)
            except ClusterError as error:
                raise NodeError(f"pin: {error}") from None
            count.next()
            pinned.append(cid)

    async def _report(self, count: _Count, call: Call) -> None:
        while True:
            await self._tick(PROGRESS_INTERVAL)
            await call.answer.begin()
            await call.answer.write(pinshapes.progress(count.now, call.answer.encoding))

    # --- pin/rm ---

    async def rm(self, call: Call) -> None:
        """In argument order; the first that fails ends it, earlier ones stay removed."""
        show, resolver = call.show, Resolver(self._node)
        shown = []
        for argument in call.arguments:
            cid = await resolver.cid(argument)
            await self._node.unpin(cid, recursive=call.params.flag("recursive"))
            shown.append(show(cid))
        if call.answer.encoding == "text":
            await call.answer.single("".join(f"unpinned {text}\n" for text in shown).encode())
        else:
            await call.answer.single(pinshapes.pins(shown, call.answer.encoding))

    # --- pin/update ---

    async def update(self, call: Call) -> None:
        """The new under the old one's name."""
        show, resolver = call.show, Resolver(self._node, offline=call.params.flag("offline"))
        old, new = [await resolver.cid(argument) for argument in call.arguments[:2]]
        await self._node.pin_update(old, new, unpin=call.params.flag("unpin"))
        if call.answer.encoding == "text":
            await call.answer.single(f"updated {show(old)} to {show(new)}\n".encode())
        else:
            await call.answer.single(pinshapes.pins([show(old), show(new)], call.answer.encoding))

    # --- pin/ls ---

    async def ls(self, call: Call) -> None:
        """All of a type, or the types of the arguments."""
        params, show = call.params, call.show
        kind = params.text("type") or ""
        name = params.text("name") or ""
        check_name(name)
        if kind not in TYPES and not (params.arguments and kind == "any"):
            raise InvalidArgument(f"invalid type '{kind}', must be one of {{direct, indirect, recursive, all}}")
        lines = self._named(call, kind) if params.arguments else self._listed(kind, name)
        if not params.flag("stream"):
            lines = pinshapes.at_once(lines)
        await pinshapes.write_listing(call.answer, params, lines, show, names=params.flag("names") or bool(name))

    async def _named(self, call: Call, kind: str) -> AsyncIterator[list[Line]]:
        resolver = Resolver(self._node, offline=call.params.flag("offline"))
        for argument in call.arguments:
            cid = await resolver.cid(argument)
            found = await self._kind(cid, "all" if kind == "any" else kind)
            if found is None:
                raise NodeError(f"path '{argument}' is not pinned")
            yield [(cid_text(cid), *found)]

    async def _kind(self, cid: Cid, kind: str) -> tuple[str, str] | None:
        """How a CID is pinned, if so and as asked for, and under which name."""
        pin = await self._node.pinned(cid)
        if pin is not None and kind in ("all", pin.mode.value):
            return pin.mode.value, pin.name
        if kind not in ("all", "indirect") or (pin is not None and pin.mode is PinMode.RECURSIVE):
            return None
        root = await self._node.indirect_root(cid)
        return None if root is None else (f"indirect through {cid_text(root)}", "")

    async def _listed(self, kind: str, name: str) -> AsyncIterator[list[Line]]:
        for mode in (PinMode.RECURSIVE, PinMode.DIRECT):
            if kind in ("all", mode.value):
                async for page in self._node.pins(mode):
                    yield [(cid_text(pin.cid), mode.value, pin.name) for pin in page if name in pin.name]
        if kind in ("all", "indirect") and not name:
            async for cids in self._node.indirect():
                yield [(cid_text(cid), "indirect", "") for cid in cids]

    # --- pin/verify ---

    async def verify(self, call: Call) -> None:
        """What is broken, and with `verbose` what is not. Nothing is fetched."""
        show, encoding = call.show, call.answer.encoding
        verbose, quiet = pinshapes.check_verify(call.params)
        async for cid, bad in self._node.verify_pins():
            if bad or verbose:
                shown = [(show(block), why) for block, why in bad] or None
                await call.answer.begin()
                await call.answer.write(pinshapes.verified(show(cid), shown, quiet=quiet, encoding=encoding))
        await call.end()


def _deadline_text(call: Call, pinned: int) -> str:
    """Kubo names the step, unless the failure comes after a stream began."""
    resolving = pinned < len(call.arguments) and "/" in call.arguments[pinned].strip("/").removeprefix("ipfs/")
    bare = resolving or call.params.flag("progress")
    return "context deadline exceeded" if bare else "pin: context deadline exceeded"
