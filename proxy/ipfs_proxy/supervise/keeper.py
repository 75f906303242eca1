"""One embedded node, kept running: started, watched, started again when it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from ipfs_cluster.ports import Clock
from ipfs_proxy.supervise.plan import GRACE, Ending, Restarts, ending
from ipfs_proxy.supervise.process import NodeCommand, NodeProcess

log = logging.getLogger(__name__)


class Keeper:
    """Runs a node until `close`. `settled` is set when it answers for the first time, or could not be started.

    trouble: why it cannot be asked anything now, in words that go on with "node NAME's process …"; empty while it runs.
    """

    def __init__(
        self,
        command: NodeCommand,
        environ: Mapping[str, str],
        clock: Clock,
        pause: float,
        on_end: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        """pause: seconds before it is started again when somebody ended it. on_end: is told of each end, with why."""
        self.command = command
        self.restarts = Restarts(pause)
        self.settled = asyncio.Event()
        self.trouble = "it is being started"
        self.started = 0
        self.on_end = on_end
        self._environ = environ
        self._clock = clock
        self._process: NodeProcess | None = None
        self._closing = asyncio.Event()

    @property
    def pid(self) -> int:
        """The process's ID, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    async def run(self) -> None:
        """Keep it running until cancelled or closed."""
        while True:
            began, before = self._clock.monotonic(), self.started
            end, pid = await self._once()
            if self._closing.is_set():
                return
            pause = self.restarts.after(end, self._clock.monotonic() - began)
            who = f"its process {pid}" if pid else "its process"
            self.trouble = f"{who} {end.words}, and is started again {pause:g} s after that"
            # The end of one that answered is told by its peer, in the same words.
            level = logging.INFO if self.started > before else logging.WARNING
            log.log(level, "node %s: %s", self.command.name, self.trouble)
            self.settled.set()
            self.on_end(self.trouble)
            await self._clock.sleep(pause)

    async def _once(self) -> tuple[Ending, int]:
        """One run, from its start to its end; and the ID it had, 0 when there never was a process."""
        try:
            process = await NodeProcess.started(self.command, self._environ)
        except OSError as error:
            return Ending(f"cannot be started: {error.strerror or error}", told=False), 0
        self._process = process
        if self._closing.is_set():
            await process.stop(GRACE)
        try:
            if await process.ready():
                self._tell_ready(process)
            return ending(*await process.ended()), process.pid
        finally:
            self._process = None

    def _tell_ready(self, process: NodeProcess) -> None:
        self.trouble = ""
        self.started += 1
        self.settled.set()
        if self.started > 1:
            log.warning("node %s: started again, process %d", self.command.name, process.pid)

    async def close(self) -> None:
        """End it, in good order if it can."""
        self._closing.set()
        if self._process is not None:
            await self._process.stop(GRACE)
