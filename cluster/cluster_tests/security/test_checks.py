"""Slow checks off the event loop, and guesses that are held back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cluster_tests.security.test_guard import USERS, basic
from ipfs_cluster.security import Check, Denied, Identity, Reason
from ipfs_cluster.security import checks as module
from ipfs_cluster.security.checks import AT_ONCE, Gatekeeper
from ipfs_cluster.security.throttle import ADDRESSES, BURST, REFILL, Throttle
from ipfs_cluster.security.users import basic_credentials


class Time:
    """Seconds that stand until they are moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def denied(gatekeeper: Gatekeeper, authorization: str, remote: str = "192.0.2.1") -> Reason:
    with pytest.raises(Denied) as caught:
        gatekeeper.look(authorization, remote)
    return caught.value.reason


async def test_a_password_is_checked_in_a_thread_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gatekeeper = Gatekeeper(USERS)
    ran: list[str] = []
    run = Check.run

    def noted(check: Check) -> bool:
        ran.append(threading.current_thread().name)
        return run(check)

    monkeypatch.setattr(Check, "run", noted)
    for _ in range(3):
        assert (await gatekeeper.identify(basic("bob", "word"), "192.0.2.1")).name == "bob"
        with pytest.raises(Denied):
            await gatekeeper.identify(basic("bob", "wrong"), "192.0.2.1")
    assert [name.startswith("password") for name in ran] == [True, True]
    gatekeeper.close()


async def test_few_are_checked_at_once_and_many_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 5)
    gatekeeper = Gatekeeper(USERS)
    running, most, go = 0, 0, threading.Event()
    lock = threading.Lock()

    def run(_: Check) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(Check, "run", run)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(gatekeeper.identify(basic("bob", f"w{i}"), f"192.0.2.{i}")) for i in range(5)]
        for _ in range(2):
            await asyncio.sleep(0)
        assert gatekeeper._waiting == 5
        assert denied(gatekeeper, basic("bob", "one more"), "192.0.2.9") is Reason.BUSY
        assert isinstance(gatekeeper.look("Bearer tok", "192.0.2.9"), Identity), "what is quick goes on"
        go.set()
    assert [task.result().name for task in asked] == ["bob"] * 5
    assert most <= AT_ONCE
    gatekeeper.close()


def test_guesses_of_one_address_are_held_back() -> None:
    time = Time()
    gatekeeper = Gatekeeper(USERS, clock=time)
    assert isinstance(gatekeeper.look(basic("ann", "plain"), "192.0.2.1"), Identity)
    for i in range(BURST):
        assert denied(gatekeeper, basic("ann", f"guess{i}")) is Reason.WRONG
    assert denied(gatekeeper, basic("ann", "one more")) is Reason.BUSY
    assert denied(gatekeeper, "Bearer tok") is Reason.BUSY, "not even a right one is told from a wrong one"
    assert isinstance(gatekeeper.look(basic("ann", "plain"), "192.0.2.1"), Identity), "who was right before goes on"
    assert isinstance(gatekeeper.look("Bearer tok", "192.0.2.2"), Identity), "others go on"
    time.now += REFILL
    assert denied(gatekeeper, basic("ann", "later")) is Reason.WRONG
    assert denied(gatekeeper, basic("ann", "at once")) is Reason.BUSY


def test_a_script_with_an_old_password_locks_nobody_out() -> None:
    gatekeeper = Gatekeeper(USERS, clock=Time())
    for _ in range(10 * BURST):
        assert denied(gatekeeper, basic("ann", "old")) is Reason.WRONG
    assert isinstance(gatekeeper.look("Bearer tok", "192.0.2.1"), Identity)


def test_a_unix_socket_and_requests_without_credentials_are_not_held_back() -> None:
    gatekeeper = Gatekeeper(USERS, clock=Time())
    for i in range(2 * BURST):
        assert denied(gatekeeper, f"Bearer {i}", "") is Reason.TOKEN
        assert denied(gatekeeper, "") is Reason.MISSING


async def test_guesses_at_a_slow_password_count_too() -> None:
    gatekeeper = Gatekeeper(USERS, clock=Time())
    for i in range(BURST):
        with pytest.raises(Denied):
            await gatekeeper.identify(basic("bob", f"guess{i}"), "192.0.2.1")
    assert denied(gatekeeper, basic("bob", "one more")) is Reason.BUSY
    gatekeeper.close()


def test_the_memory_of_addresses_is_bounded() -> None:
    throttle = Throttle()
    for i in range(3 * ADDRESSES):
        throttle.guessed(f"192.0.2.{i}", 0.0)
    assert len(throttle._empty_until) <= ADDRESSES


async def test_other_users_from_now_on() -> None:
    gatekeeper = Gatekeeper(USERS)
    await gatekeeper.identify(basic("bob", "word"), "192.0.2.1")
    gatekeeper.replace(basic_credentials({"bob": "new"}))
    assert denied(gatekeeper, basic("bob", "word")) is Reason.WRONG
    assert (await gatekeeper.identify(basic("bob", "new"), "192.0.2.1")).name == "bob"
    gatekeeper.close()
