"""The commands of scenarios: clients, operators, faults and time around a simulated cluster. See `README.md`."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from cluster_tests.scenarios.checks import problems
from cluster_tests.scenarios.model import Model, Request
from cluster_tests.uploads import AllRoots
from ipfs_cluster import EngineSettings, Line, PeerSettings, PinCall, UpdateCall, Upload, Wait
from ipfs_cluster.attempt import TrackerSettings
from ipfs_cluster.cid import Cid
from ipfs_cluster.cid import text as cid_text
from ipfs_cluster.errors import ClusterError, DeadlineExceeded
from ipfs_cluster.model import NodePin, PeerId, PinMode, PinOptions, PinStatus
from ipfs_cluster.planning import Defaults
from ipfs_cluster.ports import Clock, Store
from ipfs_cluster.testing.simulation import Simulation
from ipfs_cluster.testing.store_values import cid as numbered
from ipfs_cluster.testing.virtual_time import VirtualLoop
from ipfs_cluster.testing.wording import pin_text, quoted

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CIDS = {letter: numbered(number) for number, letter in enumerate(LETTERS)}
NAMES = {cid: letter for letter, cid in CIDS.items()}
HOUR = 3600.0
ROOM = 10**11
"""Bytes that are enough for every scenario."""
SOON = 30.0
"""Seconds in which everything that waits for no retry is done."""


@dataclass(frozen=True)
class Words:
    """A command taken apart: what stands alone, and what has a key."""

    alone: tuple[str, ...]
    keyed: dict[str, str]

    @classmethod
    def of(cls, line: str) -> Words:
        words = shlex.split(line)
        keyed = dict(word.split("=", 1) for word in words if "=" in word)
        return cls(tuple(word for word in words if "=" not in word), keyed)

    @property
    def cids(self) -> list[Cid]:
        return [CIDS[word] for word in self.alone if word in CIDS]

    def number(self, key: str, default: int) -> int:
        return int(self.keyed.get(key, default))


class Play:
    """One course of events. `do` and `recover` from its loop's driver only."""

    def __init__(self, loop: VirtualLoop, make_store: Callable[[Clock], Store]) -> None:
        self.lines: list[str] = []
        self.model = Model()
        self.sim = Simulation(loop, make_store, lambda cid: NAMES.get(cid, "empty"), self.lines.append)
        self.sim.network.content.update(CIDS.values())
        self._peers: list[str] = []
        self._settings = EngineSettings()
        self._open: dict[str, list[Request]] = {}
        self._bodies: dict[str, Body] = {}
        self._left: dict[str, asyncio.Task[None]] = {}
        self._commands: dict[str, Callable[[Words], Awaitable[None]]] = {
            "cluster": self._cluster,
            "peers": self._change_peers,
            "restart": self._restart,
            "crash": self._crash,
            "pin": self._pin,
            "unpin": self._unpin,
            "update": self._update,
            "add": self._add,
            "leave": self._leave,
            "node": self._node,
            "nobody": self._nobody,
            "publish": self._publish,
            "store": self._store,
            "advance": self._advance,
            "clock": self._clock,
            "reconcile": self._reconcile,
            "collect": self._collect,
            "drain": self._drain,
            "status": self._status,
            "why": self._why,
            "pinset": self._pinset,
            "held": self._held,
        }

    async def do(self, line: str) -> list[str]:
        """Carry a command out and let everything settle; what was seen meanwhile. Raises Killed."""
        self.lines.clear()
        words = Words.of(line)
        await self._commands[words.alone[0]](replace(words, alone=words.alone[1:]))
        await self.sim.settle()
        return list(self.lines)

    async def kill(self, *, carried_out: bool) -> None:
        """The process dies; open requests never learn what came of them."""
        self.sim.kill_at = None
        await self.sim.kill(carried_out=carried_out)
        for requests in self._open.values():
            for request in requests:
                self.model.lost(request)
        self._open.clear()
        self._bodies.clear()
        self._left.clear()

    async def start(self) -> None:
        """A process over what is there; the first time it takes the home node's pins for the cluster's."""
        if self._peers:
            await self.sim.boot(self._peers, self._settings)

    async def heal(self) -> None:
        """All nodes answer, refuse nothing, and can fetch everything; the store takes writes; and it got known."""
        self.sim.store_refuses = ""
        await self.sim.network.publish(*CIDS.values())
        for name, node in self.sim.nodes.items():
            self.sim.silent[name].set()
            node.away = ""
            node.refusals.clear()
            node.add_refused, node.add_trailer = b"", ""
            node.free = max(node.free, ROOM)
        await self.sim.settle()

    async def rest(self) -> None:
        """Long enough for the next attempts, while every node is compared once more."""
        assert self.sim.cluster is not None
        retries = [work.next_retry async for page in self.sim.store.works() for work in page]
        await self.sim.advance(max(max(retries, default=0.0) - self.sim.clock.time(), 0.0) + SOON)
        for peer in self.sim.cluster.peers_by_id.values():
            await self.sim.ask(peer.reconcile_now())
        await self.sim.advance(1.0)

    async def problems(self, *, healed: bool) -> list[str]:
        """What is wrong now."""
        return await problems(self.sim, self.model, healed=healed)

    # --- processes ---

    async def _cluster(self, words: Words) -> None:
        number = words.number("peers", 3)
        self._peers = [f"n{at + 1}" for at in range(number)]
        low, high = words.number("min", -1), words.number("max", -1)
        tracker = TrackerSettings(
            concurrent=words.number("concurrent", 10), pin_timeout=seconds(words.keyed.get("stall", "120s"))
        )
        self._settings = EngineSettings(
            defaults=Defaults(low, high, ("freespace",)),
            peer=PeerSettings(tracker=tracker),
            wait=Wait(words.keyed.get("wait", "min")),
            adopt=words.keyed.get("adopt", "yes") == "yes",
        )
        for name in self._peers:
            self.sim.node(name)
        if self._settings.adopt:
            for cid in [cid for name, cid in self.sim.foreign if name == self._peers[0]]:
                self.sim.foreign.discard((self._peers[0], cid))
                self.model.is_pinned(cid)
        await self.start()

    async def _change_peers(self, words: Words) -> None:
        """peers n1 n2 …: restart with these."""
        await self.sim.stop()
        self._peers = list(words.alone)
        for name in self._peers:
            self.sim.node(name)
        await self.start()

    async def _restart(self, _words: Words) -> None:
        await self.sim.stop()
        await self.start()

    async def _crash(self, words: Words) -> None:
        await self.kill(carried_out="carried-out" in words.alone)
        await self.start()

    # --- clients ---

    async def _client(self, label: str, requests: list[Request], work: Callable[[], Awaitable[None]]) -> None:
        """Send a request; its end is told when it comes. A label that is in use gets a number."""
        number = 2
        name = label
        while name in self._open:
            name, number = f"{label} ({number})", number + 1
        self._open[name] = requests
        for request in requests:
            self.model.begin(request)

        async def run() -> None:
            try:
                await work()
            except ClusterError as error:
                self._close(name, self.model.refused if len(requests) == 1 else self.model.lost)
                self.lines.append(f"client: {name} failed {quoted(str(error))}")
            except asyncio.CancelledError:
                if name in self._open:
                    self._close(name, self.model.lost)
                raise
            else:
                self._close(name, self.model.done)
                self.lines.append(f"client: {name} done")

        self._left[name] = self.sim.clients.start(name, run())
        await self.sim.settle()

    def _close(self, name: str, how: Callable[[Request], None]) -> None:
        for request in self._open.pop(name):
            how(request)

    async def _pin(self, words: Words) -> None:
        cluster = self.sim.cluster
        assert cluster is not None
        options = self._options(words)
        batch = [(cid, options) for cid in words.cids]
        wait = Wait(words.keyed["wait"]) if "wait" in words.keyed else None
        limit = seconds(words.keyed["timeout"]) if "timeout" in words.keyed else None

        async def work() -> None:
            call = await cluster.pin(batch, wait=wait)
            await self._within(limit, call)

        requests = [Request(cid, True, options.expire_at or 0.0) for cid in words.cids]
        await self._client("pin " + " ".join(word for word in words.alone if word in CIDS), requests, work)

    def _options(self, words: Words) -> PinOptions:
        keyed = words.keyed
        return PinOptions(
            name=keyed.get("name"),
            mode=PinMode.DIRECT if "direct" in words.alone else PinMode.RECURSIVE,
            replication_min=words.number("min", 0) or None,
            replication_max=words.number("max", 0) or None,
            user_allocations=tuple(PeerId(peer) for peer in keyed["on"].split(",")) if "on" in keyed else (),
            expire_at=self.sim.clock.time() + seconds(keyed["expires"]) if "expires" in keyed else None,
        )

    async def _within(self, limit: float | None, call: PinCall | UpdateCall) -> None:
        """As the door does with a request's deadline."""
        try:
            async with asyncio.timeout(limit):
                await call.wait()
        except TimeoutError:
            await call.withdraw()
            raise DeadlineExceeded from None

    async def _unpin(self, words: Words) -> None:
        cluster = self.sim.cluster
        assert cluster is not None
        recursive = "direct" not in words.alone
        requests = [Request(cid, False) for cid in words.cids]
        for cid in words.cids:
            self.sim.foreign.discard((self._peers[0], cid))  # the user may take the home node's own pins away

        async def work() -> None:
            outcome = await cluster.unpin([(cid, recursive) for cid in words.cids])
            if outcome.error is not None:
                raise outcome.error

        await self._client("unpin " + " ".join(words.alone), requests, work)

    async def _update(self, words: Words) -> None:
        cluster = self.sim.cluster
        assert cluster is not None
        old, new = words.cids
        drop = "keep" not in words.alone
        requests = [Request(new, True)] + ([Request(old, False)] if drop and old != new else [])

        async def work() -> None:
            await (await cluster.update(old, new, unpin=drop)).wait()

        await self._client("update " + " ".join(words.alone), requests, work)

    async def _add(self, words: Words) -> None:
        """add <name> A B …: one body with these roots; `open` leaves it open for more; `end` and `cut` end it."""
        name, *rest = words.alone
        if name not in self._bodies:
            self._bodies[name] = body = Body()
            await self._begin_add(name, body, words)
        body = self._bodies[name]
        body.send(words.cids)
        if "cut" in rest:
            body.cut()
        elif "open" not in rest:
            body.end()
        if "open" not in rest:
            del self._bodies[name]

    async def _begin_add(self, name: str, body: Body, words: Words) -> None:
        cluster = self.sim.cluster
        assert cluster is not None
        upload = Upload("add", "pin=true", "pin=true", (), aiter(body), AllRoots(), self._options(words))

        async def work() -> None:
            try:
                async with cluster.add(upload) as call:
                    async for lines in call.events():
                        for line in lines:
                            self._told(name, line)
            except ConnectionError as error:
                raise ClusterError(str(error)) from None

        requests = [Request(CIDS[letter], True) for letter in words.keyed.get("roots", "")]
        await self._client(f"add {name}", requests or [Request(cid, True) for cid in words.cids], work)

    def _told(self, name: str, line: Line) -> None:
        """A root that the client has learned of is acknowledged."""
        assert line.root is not None
        self.lines.append(f"client: add {name} has {NAMES[line.root]}")
        for request in [request for request in self._open.get(f"add {name}", ()) if request.cid == line.root]:
            self._open[f"add {name}"].remove(request)
            self.model.done(request)

    async def _leave(self, words: Words) -> None:
        """leave <label>: the client goes away without a word."""
        self._left[" ".join(words.alone)].cancel()

    # --- faults ---

    async def _node(self, words: Words) -> None:
        name, verb, *rest = words.alone
        node = self.sim.node(name)
        match verb:
            case "down":
                node.away = rest[0] if rest else "connection refused"
            case "up":
                node.away = ""
            case "silent":
                self.sim.silent[name].clear()
            case "speaks":
                self.sim.silent[name].set()
            case "refuses":
                node.refusals[CIDS[rest[0]]] = rest[1]
            case "accepts":
                node.refusals.pop(CIDS[rest[0]])
            case "accepts-all":
                node.refusals.clear()
            case "refuses-adds":
                node.add_refused = rest[0].encode()
            case "breaks-adds":
                node.add_trailer = rest[0]
            case "room":
                node.free = int(rest[0])
            case "holds":
                mode = PinMode.DIRECT if "direct" in rest else PinMode.RECURSIVE
                for cid in words.cids:
                    node.pins_held[cid] = NodePin(cid, mode, "theirs")
                    self.sim.foreign.add((name, cid))
            case "loses":
                for cid in words.cids:
                    node.pins_held.pop(cid, None)
                    self.sim.foreign.discard((name, cid))
            case "becomes":
                node.node_id = rest[0]
                node.pins_held.clear()
                self.sim.foreign = {(at, cid) for at, cid in self.sim.foreign if at != name}
            case _:
                raise ValueError(f"nodes cannot do this: {verb}")
        async with self.sim.network.changed:
            self.sim.network.changed.notify_all()

    async def _nobody(self, words: Words) -> None:
        self.sim.network.content.difference_update(words.cids)

    async def _publish(self, words: Words) -> None:
        await self.sim.network.publish(*words.cids)

    async def _store(self, words: Words) -> None:
        self.sim.store_refuses = words.alone[1] if words.alone[0] == "refuses" else ""

    async def _advance(self, words: Words) -> None:
        await self.sim.advance(seconds(words.alone[0]))

    async def _clock(self, words: Words) -> None:
        self.sim.clock.jump(seconds(words.alone[0]))

    async def _reconcile(self, words: Words) -> None:
        assert self.sim.cluster is not None
        for name in words.alone:
            await self.sim.ask(self.sim.cluster.peers_by_id[PeerId(name)].reconcile_now())

    async def _collect(self, _words: Words) -> None:
        """Garbage, on all nodes; its end is told when it comes."""
        cluster = self.sim.cluster
        assert cluster is not None

        async def work() -> None:
            async for page in cluster.gc():
                self.lines += [f"client: collect {one.peername} {one.error}" for one in page if one.error]

        await self._client("collect", [], work)

    async def _drain(self, words: Words) -> None:
        """drain n1 [off]: move its pins elsewhere, or take it into service again; how far it is."""
        cluster = self.sim.cluster
        assert cluster is not None
        (name, *off) = words.alone
        await self.sim.ask(cluster.upkeep.drain(PeerId(name), on=not off))
        state = await self.sim.ask(cluster.upkeep.drained(PeerId(name)))
        self.lines.append(f"{name} {'drained' if state.done else state.standing.value}, {state.remaining} pins")

    # --- looking ---

    async def _status(self, words: Words) -> None:
        assert self.sim.cluster is not None
        for cid in words.cids:
            pin, statuses = await self.sim.ask(self.sim.cluster.views.status(cid))
            self.lines.append(
                pin_text(pin, NAMES.__getitem__) if pin is not None else f"{NAMES[cid]} not in the pinset"
            )
            self.lines += [f"  {self._status_text(status)}" for status in statuses]

    async def _why(self, words: Words) -> None:
        assert self.sim.cluster is not None
        for cid in words.cids:
            found = await self.sim.ask(self.sim.cluster.why.pin(cid))
            self.lines.append(f"{NAMES[cid]}: {found.sentence}")
            self.lines += [f"  {status.peer} {sentence}" for status, sentence in found.copies]

    def _status_text(self, status: PinStatus) -> str:
        text = f"{status.peer} {status.status.value}"
        text += f" attempts={status.attempts}" if status.attempts else ""
        if status.next_retry > self.sim.clock.time():
            text += f" again in {status.next_retry - self.sim.clock.time():.4g}s"
        return text + (f": {status.error}" if status.error else "")

    async def _pinset(self, _words: Words) -> None:
        entries = [pin async for page in self.sim.store.pins() for pin in page]
        entries.sort(key=lambda pin: NAMES[pin.cid])
        self.lines += [pin_text(pin, NAMES.__getitem__) for pin in entries]

    async def _held(self, _words: Words) -> None:
        """What the nodes hold, and what is recorded there as not the cluster's."""
        for name, node in self.sim.nodes.items():
            held = sorted(NAMES[cid] for cid in node.pins_held if cid in NAMES)
            foreign = [
                (NAMES[item.pin.cid], item.orphan)
                async for page in self.sim.store.foreign(PeerId(name))
                for item in page
            ]
            text = " ".join([f"{name}:", *held])
            if theirs := [cid for cid, orphan in sorted(foreign) if not orphan]:
                text += ", foreign " + " ".join(theirs)
            if orphans := [cid for cid, orphan in sorted(foreign) if orphan]:
                text += ", orphan " + " ".join(orphans)
            self.lines.append(text)


class Body:
    """A request's body as its client sends it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def send(self, roots: list[Cid]) -> None:
        for root in roots:
            self._queue.put_nowait(cid_text(root).encode() + b"\n" + b"\n" * 70_000)

    def end(self) -> None:
        self._queue.put_nowait(None)

    def cut(self) -> None:
        self._queue.put_nowait(ConnectionError("the client left"))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item


def seconds(text: str) -> float:
    """5s, 2m, 1h, -10s."""
    return float(text[:-1]) * {"s": 1.0, "m": 60.0, "h": HOUR}[text[-1]]
