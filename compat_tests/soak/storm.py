"""A storm: clients work off a plan while the service is killed and nodes fail, then everything is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from compat_tests.harness.service import Service
from compat_tests.soak.client import NotSent, Verdict, answered, encode, exchange, judge
from compat_tests.soak.model import Effect, Fate, History, Sight
from compat_tests.soak.nodes import SoakNode
from compat_tests.soak.plan import Plan, Step

HANG = 60.0
"""Seconds after which a request that got no answer is a defect."""
RETRY = 0.02


@dataclass(frozen=True)
class Fault:
    """Something that happens when so many requests have been started."""

    position: int
    name: str
    act: Callable[[], Awaitable[None]]


@dataclass
class Storm:
    """One run. `run`, then look at `history`. taken: pins that were removed on nodes behind the service's back."""

    plan: Plan
    service: Service
    nodes: Sequence[SoakNode]
    clients: int
    history: History = field(default_factory=History)
    started: int = 0
    taken: int = 0
    log: list[str] = field(default_factory=list)
    rate: float = 0.0

    def __post_init__(self) -> None:
        self._deaths: list[float] = [inf]
        self._lost: list[tuple[int, Effect]] = []
        self._died = asyncio.Condition()
        self._moved = asyncio.Condition()
        self._began = time.monotonic()
        self._universe = frozenset(self.plan.pool.cids)
        self._missing = frozenset(self.plan.pool.missing)

    @property
    def now(self) -> float:
        """Seconds since the storm was made."""
        return time.monotonic() - self._began

    # --- faults ---

    async def kill_service(self) -> None:
        """SIGKILL, and start again."""
        await asyncio.to_thread(self.service.kill)
        await self._buried()
        await asyncio.to_thread(self.service.start)

    async def restart_service(self) -> None:
        """SIGTERM, and start again."""
        assert await asyncio.to_thread(self.service.stop) == 0
        await self._buried()
        await asyncio.to_thread(self.service.start)

    async def _buried(self) -> None:
        async with self._died:
            self._deaths[-1] = self.now
            self._deaths.append(inf)
            self._died.notify_all()

    # --- the run ---

    async def run(self, count: int, faults: Sequence[Fault]) -> None:
        """So many requests, and these faults; then the service is killed once more."""
        steps = self.plan.steps(count)
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._strike(sorted(faults, key=lambda fault: fault.position)))
            for _ in range(self.clients):
                group.create_task(self._client(steps))
        self.rate = count / (time.monotonic() - begin)
        await self.kill_service()
        for life, effect in self._lost:
            effect.end = self._deaths[life]

    async def _strike(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            async with self._moved:
                await self._moved.wait_for(lambda: self.started >= fault.position)  # noqa: B023 - waited for here
            self.log.append(f"{self.now:9.3f} {fault.name}")
            await fault.act()

    async def _client(self, steps: Iterator[Step]) -> None:
        for step in steps:
            self.started += 1
            async with self._moved:
                self._moved.notify_all()
            await self._perform(step)

    async def _perform(self, step: Step) -> None:
        address = ("127.0.0.1", self.service.rest_port) if step.command == "status" else self.service.address
        while True:
            life, begin = len(self._deaths) - 1, self.now
            try:
                async with asyncio.timeout(HANG):
                    data = await exchange(address, encode(step), step.leave)
            except NotSent:
                await asyncio.sleep(RETRY)  # the service is being started
                continue
            except TimeoutError:
                raise AssertionError(f"no answer within {HANG:g} s: {step}") from None
            break
        end = self.now
        answer = answered(data, step)
        if (answer is None or answer.cut) and step.leave is None:
            await self._death_of(life, step)
        self._note(step, life, begin, end, judge(step, answer, self._universe, self._missing))

    async def _death_of(self, life: int, step: Step) -> None:
        """Answers break off when the service dies, and at no other time."""
        async with self._died:
            try:
                async with asyncio.timeout(30):
                    await self._died.wait_for(lambda: self._deaths[life] < inf)
            except TimeoutError:
                raise AssertionError(f"the answer broke off although the service lives: {step}") from None

    def _note(self, step: Step, life: int, begin: float, end: float, verdict: Verdict) -> None:
        request = str(step)
        for (cid, value), fate in zip(step.changes, verdict.fates, strict=True):
            effect = Effect(cid, value, begin, end, fate, request)
            if fate is Fate.LOST:
                self._lost.append((life, effect))
            self.history.add(effect)
            if step.lasts is not None:
                self.history.expires(effect, step.lasts)
        for cid, values in verdict.told:
            at_home = step.command in ("pin/ls", "pin/rm")
            self.history.saw(Sight(cid, values, begin, end, request, at_home))
