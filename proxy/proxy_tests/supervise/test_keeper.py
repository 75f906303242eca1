"""Embedded nodes as processes: started, ended, started again. The processes are real, the clock is not."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ipfs_cluster.errors import NodeUnreachable
from ipfs_cluster.model import NodeInfo
from ipfs_cluster.nodes.http import Endpoint, HttpTransport
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_cluster.tasks import TaskSet
from ipfs_cluster.testing.fake_clock import FakeClock
from ipfs_proxy.supervise import Keeper, NodeCommand, Supervisor


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


class Run:
    """A keeper that runs, and its ends so far."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.port = free_port()
        self.repo = folder / "node"
        command = NodeCommand("own", self.repo, f"/ip4/127.0.0.1/tcp/{self.port}", 10**9)
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        environ = {**os.environ, "CLUSTER_SECRET": "hush"}
        self.keeper = Keeper(command, environ, self.clock, 20.0, self.ends.put_nowait)

    async def info(self) -> NodeInfo:
        """What the node says of itself, as the engine asks."""
        transport = HttpTransport(Endpoint("127.0.0.1", self.port), trouble=lambda: self.keeper.trouble)
        node = KuboNode(transport)
        try:
            return await node.info()
        finally:
            await node.close()

    async def ready(self) -> int:
        """Wait for it to answer; its process."""
        while self.keeper.trouble:
            self.keeper.settled.clear()
            await self.keeper.settled.wait()
        return self.keeper.pid


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    made, tasks = Run(tmp_path), TaskSet()
    tasks.start("keeper", made.keeper.run())
    yield made
    await made.keeper.close()
    await tasks.close()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_a_node_answers_when_it_is_ready_and_is_gone_after_the_end(run: Run) -> None:
    assert run.keeper.trouble == "it is being started"
    pid = await run.ready()
    assert (await run.info()).agent_version.startswith("kubo/")
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"hush" not in environ, "it gets none of the service's secrets"
    assert os.getsid(pid) == pid, "a Ctrl-C on the terminal is not for it"
    await run.keeper.close()
    assert gone(pid)
    assert run.ends.empty(), "that was no end that anybody has to know of"


async def test_one_that_is_killed_is_started_again_after_the_pause_with_the_same_identity(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    pid = await run.ready()
    before = (await run.info()).id
    os.kill(pid, signal.SIGKILL)
    words = f"its process {pid} was ended by SIGKILL, and is started again 20 s after that"
    assert await run.ends.get() == words == run.keeper.trouble
    assert run.keeper.pid == 0
    with pytest.raises(NodeUnreachable, match=f"cannot connect to 127.0.0.1:{run.port}: {words}"):
        await run.info()
    run.clock.advance(19.9)
    assert run.clock.wakes_in(0.1)
    run.clock.advance(0.1)
    again = await run.ready()
    assert again != pid
    assert (await run.info()).id == before
    assert f"node own: started again, process {again}" in caplog.text


async def test_a_signal_to_stop_is_heeded_and_no_failure(run: Run) -> None:
    os.kill(pid := await run.ready(), signal.SIGTERM)
    assert await run.ends.get() == f"its process {pid} ended as it was told to, and is started again 20 s after that"


async def test_one_that_crashes_is_started_again_at_once_and_then_ever_later(run: Run) -> None:
    for pause in (1, 2, 4):
        os.kill(pid := await run.ready(), signal.SIGSEGV)
        assert await run.ends.get() == f"its process {pid} crashed (SIGSEGV), and is started again {pause} s after that"
        run.clock.advance(pause)
    assert await run.ready()


async def test_whoever_has_its_address_is_neither_asked_nor_taken_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path)
    with socket.create_server(("127.0.0.1", run.port)) as other:
        other.setblocking(False)
        supervisor = Supervisor([run.keeper])
        await supervisor.start()
        reason = await run.ends.get()
        assert "failed: cannot listen: " in reason
        assert "in use" in reason
        assert "is started again 1 s after that" in reason
        assert supervisor.trouble("own") == reason
        assert supervisor.pid("own") == 0
        assert (supervisor.trouble("other"), supervisor.pid("other")) == ("", 0)
        with pytest.raises(NodeUnreachable, match="failed: cannot listen"):
            await run.info()
        with pytest.raises(BlockingIOError):
            other.accept()
    assert next(r for r in caplog.records if "failed: cannot listen" in r.message).levelno == logging.WARNING
    run.clock.advance(1)
    pid = await run.ready()
    await supervisor.close()
    assert gone(pid)


async def test_what_cannot_be_started_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, tasks = Run(tmp_path), TaskSet()
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere"))
    tasks.start("keeper", run.keeper.run())
    assert await run.ends.get() == (
        "its process cannot be started: No such file or directory, and is started again 1 s after that"
    )
    await run.keeper.close()
    await tasks.close()


async def test_a_node_that_cannot_use_its_folder_says_why(tmp_path: Path) -> None:
    run, tasks = Run(tmp_path), TaskSet()
    run.repo.mkdir()
    (run.repo / "identity.json").write_text(json.dumps({"id": "x", "private_key": ""}))
    tasks.start("keeper", run.keeper.run())
    assert "identity.json: the private key is no ed25519 or RSA key" in await run.ends.get()
    await run.keeper.close()
    await tasks.close()


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    run = Run(tmp_path)
    command = replace(run.keeper.command, name="ö 1%", repo=tmp_path / "a b" / "ö", log=("info", "json"))
    keeper, tasks = Keeper(command, os.environ, run.clock, 1.0), TaskSet()
    tasks.start("keeper", keeper.run())
    await keeper.settled.wait()
    assert keeper.pid
    await keeper.close()
    await tasks.close()
    assert (tmp_path / "a b" / "ö" / "identity.json").exists()
