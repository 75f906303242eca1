"""pin/add, pin/rm, pin/ls and pin/update on the cluster, in Kubo's shapes and texts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from math import inf
from typing import TypeVar

from ipfs_cluster import Cid, Cluster, PinCall, UpdateCall
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import ClusterError, DeadlineExceeded, InvalidArgument, NodeError, NotPinned, PinModeError
from ipfs_cluster.model import PinMode, VerifiedPin
from ipfs_cluster.ports import ListedPin, PinQuery
from ipfs_cluster.tasks import alongside
from ipfs_proxy.front.exchange import Command, Request
from ipfs_proxy.rpc.options import NAME_LIMIT, check_name, pin_options, wait_option
from ipfs_proxy.rpc.pinshapes import (
    ADD,
    ARGUMENT,
    LS,
    RM,
    TYPES,
    UPDATE,
    VERIFY,
    Line,
    added,
    at_once,
    check_verify,
    pinned_text,
    pins,
    progress,
    verified,
    write_listing,
)
from ipfs_proxy.rpc.run import Answer, CidText, bare_cid, command
from ipfs_proxy.wire.params import BadRequest, Params

T = TypeVar("T")

PROGRESS_INTERVAL = 0.5
SETTLE = 5.0
"""Seconds that pin/rm waits at most for the nodes to let go."""


def pin_commands(
    cluster: Cluster, server: Callable[[], str], *, indirect: bool = True, tick: Callable[[float], Awaitable[None]]
) -> Mapping[str, Command]:
    """The table of these commands. indirect: pin/ls of all types ends with the nodes' indirect pins. tick: sleeps."""
    pins = PinCommands(cluster, indirect=indirect, tick=tick)
    return {
        "pin/add": command(pins.add, ADD, server, required=(ARGUMENT,), body=True),
        "pin/rm": command(pins.rm, RM, server, required=(ARGUMENT,), body=True),
        "pin/ls": command(pins.ls, LS, server),
        "pin/verify": command(pins.verify, VERIFY, server),
        "pin/update": command(pins.update, UPDATE, server, required=("from-path", "to-path")),
    }


class PinCommands:
    """The handlers, over one cluster."""

    def __init__(self, cluster: Cluster, *, indirect: bool, tick: Callable[[float], Awaitable[None]]) -> None:
        self._cluster = cluster
        self._indirect = indirect
        self._tick = tick

    async def _resolve(self, argument: str) -> Cid:
        return bare_cid(argument) or await self._cluster.resolve(argument)

    async def _resolved(self, arguments: Sequence[str]) -> tuple[list[Cid], ClusterError | None]:
        """The CIDs of the arguments before the first that does not resolve, and its error: as Kubo works one by one,
        those before take effect."""
        resolved: list[Cid] = []
        for argument in arguments:
            try:
                resolved.append(await self._resolve(argument))
            except ClusterError as error:
                return resolved, error
        return resolved, None

    async def _here(self, cids: Sequence[Cid]) -> tuple[list[Cid], ClusterError | None]:
        """With `offline`: those before the first whose root the home node does not have, and Kubo's error for it."""
        for at, cid in enumerate(cids):
            try:
                if await self._cluster.views.get(cid) is None:
                    await self._cluster.local_root(cid)
            except NodeError as error:
                return list(cids[:at]), NodeError(f"pin: {error}")
        return list(cids), None

    # --- pin/add ---

    async def add(self, request: Request, params: Params, answer: Answer) -> None:
        """All arguments are one batch, pinned in parallel; answered when they are held as the wait level says."""
        show = CidText(params)
        check_name(params.text("name"))
        mode = PinMode.RECURSIVE if params.flag("recursive") else PinMode.DIRECT
        options = pin_options(params.extra, params.text("name"), mode)
        wait = wait_option(params.extra)
        call: PinCall | None = None
        try:
            async with asyncio.timeout(params.timeout) as deadline:
                resolved, failure = await self._resolved(params.arguments)
                if params.flag("offline"):
                    resolved, absent = await self._here(resolved)
                    failure = absent or failure
                batch = [(cid, options) for cid in resolved]
                call = await _whole(deadline, lambda: self._cluster.pin(batch, wait=wait))
                if params.flag("progress"):
                    await self._with_progress(call, answer)
                else:
                    await call.wait()
                if failure is not None:
                    raise failure
        except TimeoutError:
            if call is not None:
                await call.withdraw()
            bare = call is None or params.flag("progress")
            raise DeadlineExceeded("context deadline exceeded" if bare else "pin: context deadline exceeded") from None
        shown = [show(cid) for cid in resolved]
        body = pinned_text(shown, mode) if answer.encoding == "text" else added(shown, answer.encoding)
        if params.flag("progress"):
            await answer.begin()
            await answer.write(body)
            await answer.end()
        else:
            await answer.single(body)

    async def _with_progress(self, call: PinCall | UpdateCall, answer: Answer) -> None:
        """A value every half second, and one at the end if anything was fetched, as Kubo sends them."""
        async with alongside(self._report(call, answer)):
            await call.wait()
        final = call.progress()
        if final.nodes:
            await answer.begin()
            await answer.write(progress(final, answer.encoding))

    async def _report(self, call: PinCall | UpdateCall, answer: Answer) -> None:
        while True:
            await self._tick(PROGRESS_INTERVAL)
            await answer.begin()
            await answer.write(progress(call.progress(), answer.encoding))

    # --- pin/rm ---

    async def rm(self, request: Request, params: Params, answer: Answer) -> None:
        """In argument order; the first that fails ends it, earlier ones stay removed."""
        show = CidText(params)
        async with _deadline(params) as deadline:
            resolved, failure = await self._resolved(params.arguments)
            batch = [(cid, params.flag("recursive")) for cid in resolved]
            settle = min(SETTLE, _remaining(deadline))
            outcome = await _whole(deadline, lambda: self._cluster.unpin(batch, settle=settle))
        if outcome.error is not None:
            if isinstance(outcome.error, PinModeError):
                # In the CID's own base, as Kubo prints it here.
                raise PinModeError(f"{cid_text(resolved[outcome.removed])} {outcome.error}")
            raise outcome.error
        if failure is not None:
            raise failure
        shown = [show(cid) for cid in resolved]
        if answer.encoding == "text":
            await answer.single("".join(f"unpinned {text}\n" for text in shown).encode())
        else:
            await answer.single(pins(shown, answer.encoding))

    # --- pin/update ---

    async def update(self, request: Request, params: Params, answer: Answer) -> None:
        """Pin the new where the old is, then drop the old."""
        show = CidText(params)
        call: UpdateCall | None = None
        try:
            async with asyncio.timeout(params.timeout) as deadline:
                old, new = [await self._resolve(argument) for argument in params.arguments[:2]]
                call = await _whole(deadline, lambda: self._cluster.update(old, new, unpin=params.flag("unpin")))
                await call.wait()
        except TimeoutError:
            if call is not None:
                await call.withdraw()
            raise DeadlineExceeded from None
        if answer.encoding == "text":
            await answer.single(f"updated {show(old)} to {show(new)}\n".encode())
        else:
            await answer.single(pins([show(old), show(new)], answer.encoding))

    # --- pin/verify ---

    async def verify(self, request: Request, params: Params, answer: Answer) -> None:
        """What is broken on any node, and with `verbose` what is not. Nodes that could not be asked are the error that
        the answer ends with."""
        show = CidText(params)
        verbose, quiet = check_verify(params)
        async with _deadline(params):
            async for page in self._cluster.views.verify(well=verbose):
                body = [verified(show(pin.cid), _bad(pin, show), quiet=quiet, encoding=answer.encoding) for pin in page]
                await answer.begin()
                await answer.write(b"".join(body))
            await answer.begin()
            await answer.end()

    # --- pin/ls ---

    async def ls(self, request: Request, params: Params, answer: Answer) -> None:
        """From the store, page by page; indirect pins from the nodes."""
        kind = params.text("type")
        show = CidText(params)
        name = params.text("name") or ""
        check_name(name)
        if kind not in TYPES and not (params.arguments and kind == "any"):
            raise InvalidArgument(f"invalid type '{kind}', must be one of {{direct, indirect, recursive, all}}")
        async with _deadline(params):
            if params.arguments:
                lines = self._named(params, "all" if kind == "any" else kind)
                if not params.flag("stream"):
                    lines = at_once(lines)
            elif params.flag("stream"):
                lines = self._listed(kind, name)
            else:
                lines = self._sorted(kind, name)
            names = params.flag("names") or bool(name)
            await write_listing(answer, params, lines, show, names=names)

    async def _named(self, params: Params, kind: str) -> AsyncIterator[list[Line]]:
        for argument in params.arguments:
            cid = await self._resolve(argument)
            found = await self._cluster.views.lookup(cid, kind)
            if found is None:
                raise NotPinned(f"path '{argument}' is not pinned")
            yield [(cid_text(cid), *found)]

    async def _listed(self, kind: str, name: str) -> AsyncIterator[list[Line]]:
        if kind != "indirect":
            async for page in self._cluster.views.listing(_query(kind, name)):
                yield _lines(page)
        if self._with_indirect(kind, name):
            async for cids in self._cluster.views.indirect():
                yield [(cid_text(cid), "indirect", "") for cid in cids]

    async def _sorted(self, kind: str, name: str) -> AsyncIterator[list[Line]]:
        if kind == "indirect" or self._with_indirect(kind, name):
            query = PinQuery(name=name)
            async for lines in self._cluster.views.listing_with_indirect(query):
                yield [line for line in lines if kind in ("all", line[1])]
            return
        async for page in self._cluster.views.listing(_query(kind, name), by_text=True):
            yield _lines(page)

    def _with_indirect(self, kind: str, name: str) -> bool:
        return not name and (kind == "indirect" or (kind == "all" and self._indirect))


def _lines(page: Sequence[ListedPin]) -> list[Line]:
    """Spelled out: asking a million members of an enum for their value takes as long as writing their lines."""
    return [(text, "direct" if mode is PinMode.DIRECT else "recursive", name) for text, mode, _, name in page]


def _bad(pin: VerifiedPin, show: CidText) -> list[tuple[str, str]] | None:
    return None if pin.ok else [(show(cid), reason) for cid, reason in pin.bad]


def _query(kind: str, name: str) -> PinQuery:
    modes = None if kind == "all" else frozenset({PinMode(kind)})
    return PinQuery(modes=modes, name=name)


class _deadline:  # noqa: N801 - used as a statement
    """The request's `timeout`, with Go's text."""

    def __init__(self, params: Params) -> None:
        self._timeout = asyncio.timeout(params.timeout)

    async def __aenter__(self) -> asyncio.Timeout:
        return await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            await self._timeout.__aexit__(kind, *error)  # type: ignore[arg-type]
        except TimeoutError:
            raise DeadlineExceeded from None
        if kind is TimeoutError:
            raise DeadlineExceeded from None


def _remaining(deadline: asyncio.Timeout) -> float:
    """Seconds until the deadline; without one, for ever."""
    when = deadline.when()
    return inf if when is None else max(when - asyncio.get_running_loop().time(), 0.0)


async def _whole(deadline: asyncio.Timeout, work: Callable[[], Awaitable[T]]) -> T:
    """What commits is begun before the deadline or not at all, and never cut short by it: nobody would know whether
    it took place, and so nobody could undo it. The deadline holds again afterwards.
    """
    when = deadline.when()
    if not _remaining(deadline):
        raise TimeoutError
    deadline.reschedule(None)
    try:
        return await work()
    finally:
        deadline.reschedule(when)


__all__ = ["NAME_LIMIT", "BadRequest", "PinCommands", "pin_commands"]
