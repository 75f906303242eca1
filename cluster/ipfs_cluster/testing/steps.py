"""One process's calls to its store and its nodes as steps: one at a time, in an order that a test decides, and cut off
for good when the process is killed.

A step takes place when everything that could go on without it has gone on, so the same order of steps is the same
course of events, on every store. Wrappers pass all methods on, so that they need not follow the ports.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")

Choose = Callable[[Sequence["Step"]], int]
"""Which of the waiting steps is next."""


@dataclass(slots=True, eq=False)
class Step:
    """run: what takes place. changes: it may change something durable, so a kill before it and one after it differ.

    lasting: it takes place even if nobody waits for it any more, as a commit does whose caller was cancelled.
    """

    label: str
    run: Callable[[], Awaitable[Any]]
    result: asyncio.Future[Any]
    changes: bool
    lasting: bool


class Steps:
    """The steps of one process that have not taken place yet."""

    def __init__(self) -> None:
        self.waiting: list[Step] = []
        self.taken = 0
        self.killed = False

    async def take(self, label: str, run: Callable[[], Awaitable[T]], *, changes: bool, lasting: bool = False) -> T:
        """Wait for one's turn, then the result of `run`. In a process that was killed it is cancelled."""
        if self.killed:
            raise asyncio.CancelledError
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        step = Step(label, run, result, changes, lasting)
        self.waiting.append(step)
        try:
            return await result
        except asyncio.CancelledError:
            if not lasting and step in self.waiting:
                self.waiting.remove(step)
            raise

    async def end(self, label: str, run: Callable[[], Awaitable[object]]) -> None:
        """Let go of something; a process that was killed does so too, at once, as the system does for it."""
        if self.killed:
            await run()
        else:
            await self.take(label, run, changes=False)

    async def run_next(self, choose: Choose) -> None:
        """One step takes place; its caller goes on at the loop's next turn."""
        step = self.waiting.pop(choose(self.waiting))
        self.taken += step.changes
        await self._run(step)

    @staticmethod
    async def _run(step: Step) -> None:
        try:
            value = await step.run()
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, and is raised there
            if not step.result.done():
                step.result.set_exception(error)
        else:
            if not step.result.done():
                step.result.set_result(value)

    async def kill(self, *, carried_out: bool) -> None:
        """The process is gone. carried_out: what it had asked for and not heard of takes place all the same."""
        self.killed = True
        waiting, self.waiting = self.waiting, []
        for step in waiting:
            step.result.cancel()
            if carried_out and step.changes:
                await self._run(step)


class Stepped:
    """Passes every call of a store or a node on as a step that changes nothing; subclasses know which do."""

    def __init__(self, inner: object, steps: Steps, prefix: str = "") -> None:
        """prefix: of the steps' labels."""
        self._inner = inner
        self._steps = steps
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        label = self._prefix + name
        if inspect.iscoroutinefunction(method):
            return lambda *args, **kwargs: self._steps.take(label, lambda: method(*args, **kwargs), changes=False)
        if not callable(method):
            return method
        return lambda *args, **kwargs: self._other(label, method(*args, **kwargs))

    def _other(self, name: str, answer: object) -> Any:
        if isinstance(answer, AbstractAsyncContextManager):
            return self._block(name, answer)
        if hasattr(answer, "__anext__"):
            return self._pages(name, cast(AsyncIterator[Any], answer))
        return answer

    @asynccontextmanager
    async def _block(self, name: str, block: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        """A scan or a set: its own calls are steps too."""
        inner = await self._steps.take(name, block.__aenter__, changes=False)
        try:
            yield Stepped(inner, self._steps, name + " ")
        finally:
            await self._steps.end(name, lambda: block.__aexit__(None, None, None))

    async def _pages(self, name: str, pages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            while True:
                page = await self._steps.take(name, lambda: _next(pages), changes=False)
                if page is None:
                    return
                yield page
        finally:
            if (close := getattr(pages, "aclose", None)) is not None:
                await self._steps.end(name, close)


async def _next(pages: AsyncIterator[Any]) -> Any:
    return await anext(pages, None)
