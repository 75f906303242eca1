"""A cluster whose store and nodes outlive its processes, on virtual time: what scenarios and model tests drive.

One task drives. It lets a process work until nothing can go on, moves time, stops or kills the process, and starts the
next one over what is durable. Everything that a process does to its store and its nodes is a step (`steps`), noted in
words, and every run takes the same course.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from math import inf
from typing import Any, TypeVar, cast

from ipfs_cluster import Cluster, EngineSettings, PeerSpec
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import Conflict, NodeError, NodeStalled, NodeUnreachable, StoreUnavailable
from ipfs_cluster.model import ClaimKind, NodePin, PeerId, PinMode
from ipfs_cluster.ports import Clock, Node, NodeResponse, PutClaim, PutPeer, Store, Write
from ipfs_cluster.tasks import TaskSet
from ipfs_cluster.testing.fake_node import FakeNetwork, FakeNode
from ipfs_cluster.testing.steps import Choose, Step, Stepped, Steps
from ipfs_cluster.testing.virtual_time import VirtualClock, VirtualLoop
from ipfs_cluster.testing.wording import Name, quoted, write_text

T = TypeVar("T")

PATIENCE = 100_000
"""Steps that anything may take without time moving; more is a loop."""


class Killed(Exception):
    """The process is to be killed here: `Simulation.kill_at` changes have taken place."""


def oldest(_waiting: Sequence[Step]) -> int:
    """First come, first served: the order of scenarios."""
    return 0


class Simulation:
    """Nodes, a store and at most one process. Only its driver may call the async methods."""

    def __init__(
        self, loop: VirtualLoop, make_store: Callable[[Clock], Store], name: Name, note: Callable[[str], None]
    ) -> None:
        """name: of a CID in notes; note: gets a line for every step worth telling."""
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.store = make_store(self.clock)
        self.network = FakeNetwork()
        self.nodes: dict[str, FakeNode] = {}
        self.silent: dict[str, asyncio.Event] = {}
        self.store_refuses = ""
        self.broken_rules: list[str] = []
        self.foreign: set[tuple[str, Cid]] = set()
        self.cluster: Cluster | None = None
        self.choose: Choose = oldest
        self.changes = 0
        self.kill_at: int | None = None
        self.name = name
        self.note = note
        self.clients = TaskSet()
        self._steps = Steps()
        self._owners: dict[str, str] = {}

    def node(self, name: str) -> FakeNode:
        """The node of this name, made at its first mention."""
        if name not in self.nodes:
            self.nodes[name] = FakeNode(self.network, f"id-of-{name}", free=10**12 - len(self.nodes))
            self.silent[name] = asyncio.Event()
            self.silent[name].set()
        return self.nodes[name]

    # --- processes ---

    async def boot(self, peers: Sequence[str], settings: EngineSettings) -> None:
        """Start a process with these peers, the first at home; time passes only if the nodes let it wait."""
        self._steps = Steps()
        self.clients = TaskSet()
        specs = [self._spec(name, home=name == peers[0]) for name in peers]
        store = cast(Store, SteppedStore(self, self.store, self._steps))
        self.cluster = Cluster(specs, store, cast(Clock, self.clock), settings)
        await self._until_over(self.clients.start("start", self.cluster.start()))

    def _spec(self, name: str, *, home: bool) -> PeerSpec:
        node = cast(Node, SteppedNode(self, name, self._steps))
        return PeerSpec(PeerId(name), name, node, home=home)

    async def stop(self) -> None:
        """End the process in peace."""
        assert self.cluster is not None
        await self._until_over(self.clients.start("close", self.cluster.close()))
        # Who is cut off has its nodes asked what they did, and silent ones get a moment.
        await self._until_over(TaskSet().start("clients", self.clients.close()))
        self.cluster = None

    async def _until_over(self, task: asyncio.Task[None]) -> None:
        while True:
            wait = await self.settle()
            if task.done():
                return await task
            if wait == inf:
                raise AssertionError(f"{task.get_name()} never ends")
            self.loop.move(wait)

    async def kill(self, *, carried_out: bool) -> None:
        """End the process between two steps. carried_out: what it had asked for and not heard of still happens."""
        await self._steps.kill(carried_out=carried_out)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)
        self.cluster = None
        await self.store.close()

    # --- its course ---

    async def settle(self) -> float:
        """Until nothing goes on before time moves; seconds until the next timer. Raises Killed."""
        for _ in range(PATIENCE):
            wait = await self.loop.idle()
            if not self._steps.waiting:
                return wait
            await self._steps.run_next(self._chosen)
        raise AssertionError(f"this never ends: {[step.label for step in self._steps.waiting]}")

    def _chosen(self, waiting: Sequence[Step]) -> int:
        index = self.choose(waiting)
        if waiting[index].changes:
            if self.changes == self.kill_at:
                raise Killed
            self.changes += 1
        return index

    async def advance(self, seconds: float) -> None:
        """Let time pass, timer after timer."""
        until = self.loop.time() + seconds
        while (wait := await self.settle()) <= until - self.loop.time():
            self.loop.move(wait)
        self.loop.move(until - self.loop.time())
        await self.settle()

    async def ask(self, question: Coroutine[object, object, T]) -> T:
        """The answer to something that no time needs to pass for."""
        answers: list[T] = []

        async def answer() -> None:
            answers.append(await question)

        task = self.clients.start("question", answer())
        await self.settle()
        if task.done():
            await task
        (found,) = answers
        return found

    # --- for the wrappers ---

    async def answers(self, node: str) -> None:
        """Wait while the node is silent: suspended, or its host gone without a word."""
        await self.silent[node].wait()

    def write_lines(self, writes: Sequence[Write]) -> str:
        """A commit in words, without what a start and a survey write of peers; empty when nothing is left."""
        texts = [write_text(write, self.name) for write in writes if not _routine(write)]
        return "; ".join(self._plain(text) for text in texts)

    def _plain(self, text: str) -> str:
        """Owners of claims are random; in notes they are numbered."""
        words = text.split(" ")
        for at, word in enumerate(words):
            if word.startswith("add:"):
                words[at] = self._owners.setdefault(word, f"add:{len(self._owners) + 1}")
        return " ".join(words)


def _routine(write: Write) -> bool:
    return isinstance(write, PutPeer) or (isinstance(write, PutClaim) and write.kind is ClaimKind.SYSTEM)


class SteppedStore(Stepped):
    """A process's way to the store."""

    def __init__(self, simulation: Simulation, store: Store, steps: Steps) -> None:
        super().__init__(store, steps, "store ")
        self._simulation = simulation
        self._store = store

    async def commit(self, writes: Sequence[Write]) -> int:
        return await self._write(lambda: self._store.commit(writes), lambda _: self._simulation.write_lines(writes))

    async def begin_unpin(self, peer: PeerId, cid: Cid, generation: int) -> bool:
        name = self._simulation.name(cid)
        return await self._write(
            lambda: self._store.begin_unpin(peer, cid, generation),
            lambda begun: f"begin_unpin {peer} {name} {'yes' if begun else 'no'}",
        )

    async def retry_now(self, peer: PeerId, now: float) -> int:
        return await self._write(
            lambda: self._store.retry_now(peer, now), lambda number: f"retry_now {peer} {number}" if number else ""
        )

    async def shift_retries(self, peer: PeerId, now: float, seconds: float) -> int:
        return await self._write(
            lambda: self._store.shift_retries(peer, now, seconds),
            lambda number: f"shift_retries {peer} {number} by {seconds:+.0f}s" if number else "",
        )

    async def _write(self, write: Callable[[], Awaitable[T]], text: Callable[[T], str]) -> T:
        simulation = self._simulation

        async def run() -> T:
            if simulation.store_refuses:
                simulation.note(f"store: refuses {quoted(simulation.store_refuses)}")
                raise StoreUnavailable(simulation.store_refuses)
            try:
                result = await write()
            except Conflict:
                simulation.note("store: conflict")
                raise
            if line := text(result):
                simulation.note(f"store: {line}")
            return result

        return await self._steps.take("write", run, changes=True, lasting=True)


class SteppedNode(Stepped):
    """A process's way to one node."""

    def __init__(self, simulation: Simulation, name: str, steps: Steps) -> None:
        self._node = simulation.node(name)
        super().__init__(self._node, steps, f"{name} ")
        self._simulation = simulation
        self._name = name
        self._node.carry_out = self._carry_out

    async def info(self) -> Any:
        await self._simulation.answers(self._name)
        return await self._steps.take(f"{self._name} id", self._node.info, changes=False)

    async def pinned(self, cid: Cid, mode: PinMode) -> NodePin | None:
        async def run() -> NodePin | None:
            held = await self._node.pinned(cid, mode)
            self._note(f"pin/ls {self._named(cid)}", "yes" if held else "no")
            return held

        return await self._call(f"pin/ls {self._named(cid)}", run, changes=False)

    async def pin(
        self, cid: Cid, mode: PinMode, name: str, on_progress: Callable[[int, int], None], stall: float
    ) -> None:
        what = f"pin/add {self._named(cid)}" + (" direct" if mode is PinMode.DIRECT else "")
        await self._begin(what)
        held = self._node.pins_held.get(cid)
        if held is not None and held.mode is PinMode.RECURSIVE and not self._node.away:
            self._broken(f"pins {self._named(cid)} again, which it holds recursively")
        async with self._ends(what):
            try:
                async with asyncio.timeout(stall or None):
                    await self._node.pin(cid, mode, name, on_progress, 0.0)
            except TimeoutError:
                raise NodeStalled(f"no new block for {stall:g}s") from None

    async def pin_update(self, old: Cid, new: Cid, stall: float) -> None:
        what = f"pin/update {self._named(old)} {self._named(new)}"
        await self._begin(what)
        async with self._ends(what):
            try:
                async with asyncio.timeout(stall or None):
                    await self._node.pin_update(old, new, 0.0)
            except TimeoutError:
                raise NodeStalled(f"no new block for {stall:g}s") from None

    async def unpin(self, cid: Cid, mode: PinMode) -> None:
        what = f"pin/rm {self._named(cid)}"

        async def run() -> None:
            if (self._name, cid) in self._simulation.foreign and not self._node.away:
                self._broken(f"unpins {self._named(cid)}, which is not the cluster's")
            await self._node.unpin(cid, mode)
            self._note(what, "done")

        await self._call(what, run, changes=True)

    async def gc(self) -> AsyncIterator[list[tuple[Cid | None, str]]]:
        await self._begin("repo/gc")
        async with self._ends("repo/gc"):
            async for page in self._node.gc():
                yield page

    @asynccontextmanager
    async def upload(
        self, command: str, query: str, headers: Sequence[tuple[str, str]], body: AsyncIterator[bytes]
    ) -> AsyncIterator[NodeResponse]:
        await self._begin(command)
        async with self._ends(command), self._node.upload(command, query, headers, body) as response:
            yield response

    # --- parts of a call ---

    def _named(self, cid: Cid) -> str:
        return self._simulation.name(cid)

    def _note(self, what: str, end: str = "") -> None:
        self._simulation.note(f"{self._name}: {what} {end}".rstrip())

    def _broken(self, what: str) -> None:
        self._simulation.broken_rules.append(f"{self._name} {what}")

    async def _begin(self, what: str) -> None:
        """The request reaches the node, or what is there of it."""

        async def run() -> None:
            if not self._node.away:
                self._note(what)

        await self._simulation.answers(self._name)
        await self._steps.take(f"{self._name} {what}", run, changes=True)

    async def _call(self, what: str, run: Callable[[], Awaitable[T]], *, changes: bool) -> T:
        """A call that is over at once."""
        async with self._ends(what, quiet=True):
            await self._simulation.answers(self._name)
            return await self._steps.take(f"{self._name} {what}", run, changes=changes)

    @asynccontextmanager
    async def _ends(self, what: str, *, quiet: bool = False) -> AsyncIterator[None]:
        try:
            yield
        except NodeUnreachable:
            self._note(what, "unreachable")
            raise
        except NodeError as error:
            self._note(what, f"failed {quoted(str(error))}")
            raise
        except asyncio.CancelledError:
            if not self._steps.killed:
                self._note(what, "given up")
            raise
        if not quiet:
            self._note(what, "done")

    async def _carry_out(self, what: str, effect: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return effect()

        await self._simulation.answers(self._name)
        return await self._steps.take(f"{self._name} {what} ends", run, changes=True)
