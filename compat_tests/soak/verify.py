"""After a storm: is what the service says true, and is it what was promised?

`settle` asks until everything is as it must be, `check_store` looks at the data folder after the service was stopped.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compat_tests.harness.http import Answer, parse
from compat_tests.soak.client import exchange
from compat_tests.soak.model import ABSENT, RECURSIVE
from compat_tests.soak.storm import Storm
from ipfs_cluster import SystemClock
from ipfs_cluster import cid as cids
from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_cluster.views import UNASKED

BATCH = 100
"""CIDs in one request for statuses."""
ORPHAN = f"unpinned: {UNASKED}"


@dataclass
class State:
    """What the service says, and what the nodes hold."""

    entries: dict[str, dict[str, Any]]
    statuses: dict[str, dict[str, str]]
    peers: list[str]
    listed: dict[str, str]
    holds: list[Mapping[str, str]]
    asked: float = 0.0
    surplus: set[tuple[int, str]] = field(default_factory=set)

    def value(self, cid: str) -> str:
        """The CID's value in the pinset."""
        entry = self.entries.get(cid)
        return ABSENT if entry is None else str(entry["mode"])


async def settle(storm: Storm, seconds: float) -> State:
    """The state in which nothing contradicts anything; fails with what still does in the end."""
    deadline = time.monotonic() + seconds
    while True:
        state = await observe(storm)
        wrong = complaints(storm, state)
        if not wrong:
            return state
        if time.monotonic() > deadline:
            raise AssertionError(f"not settled within {seconds:g} s:\n" + "\n".join(wrong[:8]))
        await asyncio.sleep(0.2)  # the one place that polls


async def observe(storm: Storm) -> State:
    """Ask the service and the nodes."""
    asked = storm.now
    entries = {entry["cid"]: entry for entry in _lines(await _get(storm, "/allocations"))}
    peers = [peer["id"] for peer in _lines(await _get(storm, "/peers"))]
    every = sorted({*storm.plan.pool.cids, *entries})
    statuses = {}
    for first in range(0, len(every), BATCH):
        for info in _lines(await _get(storm, f"/pins?cids={','.join(every[first : first + BATCH])}")):
            statuses[info["cid"]] = {
                peer: f"{one['status']}: {one['error']}" if one["error"] else one["status"]
                for peer, one in info["peer_map"].items()
            }
    listed: dict[str, str] = {}
    for kind in ("direct", "recursive"):
        answer = await _post(storm, f"pin/ls?type={kind}&stream=true")
        assert answer.status == 200, answer.text
        listed |= {line["Cid"]: kind for line in _lines(answer)}
    holds = await asyncio.gather(*(node.holds() for node in storm.nodes))
    return State(entries, statuses, peers, listed, list(holds), asked)


def complaints(storm: Storm, state: State) -> list[str]:
    """Whatever is not as it must be."""
    found = []
    pool = set(storm.plan.pool.cids)
    strangers = {*state.entries, *(cid for held in state.holds for cid in held)} - pool
    if strangers:
        found.append(f"never asked for: {sorted(strangers)}")
    if state.listed != {cid: entry["mode"] for cid, entry in state.entries.items()}:
        found.append("pin/ls and /allocations differ")
    fleeting = {content.cid for content in storm.plan.pool.fleeting}
    found += [f"{cid} has not expired" for cid in fleeting & state.entries.keys()]
    for cid in pool:
        wrong = [*_against_the_model(storm, state, cid), *_against_the_nodes(storm, state, cid)]
        found += [f"{cid}: {text}\n{storm.history.timeline(cid)}" for text in wrong]
    return found


def _against_the_model(storm: Storm, state: State, cid: str) -> list[str]:
    possible = storm.history.possible(cid, state.asked, state.asked)
    if state.value(cid) in possible:
        return []
    expected = " or ".join(sorted(value or "absent" for value in possible))
    return [f"is {state.value(cid) or 'absent'} in the pinset, can only be {expected}"]


def _against_the_nodes(storm: Storm, state: State, cid: str) -> list[str]:
    found = []
    value = state.value(cid)
    allocations = state.entries[cid]["allocations"] or state.peers if value else []
    for index, peer in enumerate(state.peers):
        status, held = state.statuses[cid].get(peer, "not told"), state.holds[index].get(cid, ABSENT)
        wanted = peer in allocations
        if cid in storm.plan.pool.missing and wanted:
            if status == "pinned" or held:
                found.append(f"n{index} says {status} and holds {held!r} of what nobody has")
        elif wanted and status != "pinned":
            found.append(f"n{index} says {status}, should be pinned")
        elif wanted and held not in (value, RECURSIVE):
            found.append(f"n{index} says {status}, and the node holds {held!r} instead of {value}")
        elif not wanted and status not in ("remote" if value else "unpinned", ORPHAN):
            found.append(f"n{index} says {status}, is not wanted there")
        elif not wanted and held:
            if status == ORPHAN or value:
                state.surplus.add((index, cid))
            else:
                found.append(f"n{index} says {status}, and the node holds it ({held})")
    return found


async def check_store(storm: Storm, state: State) -> list[str]:
    """The stopped service's data folder: sound, nothing left to do, and every surplus copy on record."""
    path = storm.service.folder / "pinset.sqlite"
    found = []
    with sqlite3.connect(path) as connection:
        found += [
            f"integrity_check: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"
        ]
    connection.close()
    store = SqliteStore(path, SystemClock())
    await store.open()
    try:
        missing = set(storm.plan.pool.missing)
        works = [work async for page in store.works() for work in page if cids.text(work.cid) not in missing]
        found += [f"a row is left: {work}" for work in works]
        found += [f"a claim is left: {claim}" for claim in await store.claims() if claim.owner != "system"]
        found += [f"a pending operation is left: {op}" for op in await store.pending_ops()]
        known = {
            (state.peers.index(foreign.peer), cids.text(foreign.pin.cid), foreign.orphan)
            async for page in store.foreign()
            for foreign in page
        }
    finally:
        await store.close()
    found += [
        f"n{peer} holds {cid}, nobody knows why"
        for peer, cid in state.surplus
        if not {(peer, cid, True), (peer, cid, False)} & known
    ]
    for peer, cid, orphan in sorted(known):
        if not storm.history.left_behind(cid):
            name = "an orphan" if orphan else "foreign"
            found.append(f"n{peer}: {cid} is {name}\n{storm.history.timeline(cid)}")
    return found


_MISSING = re.compile(r"peer (\S+): (\d+) pins were missing on the node and are queued again: (.*)")


def check_log(storm: Storm) -> list[str]:
    """Comparisons heal, and so does every later request: what they found is the only trace of a pin that was told as
    pinned and was not there. Only what was taken away may ever be missing, and what Kubo itself lets go of when an
    add of it is cut.
    """
    assert storm.service.child is not None
    found = [(peer, int(count), which) for peer, count, which in _MISSING.findall(storm.service.child.output())]
    named = (cid.strip() for *_, which in found for cid in which.split(","))
    missing = sum(count for _, count, _ in found) - sum(map(storm.history.upload_was_cut, named))
    if missing <= storm.taken:
        return []
    text = f"{missing} pins were told as pinned and were missing, of which {storm.taken} had been taken away: {found}"
    cids_found = re.findall(r"\bbaf\w+", " ".join(which for *_, which in found))
    return ["\n".join([text, *(f"{cid}\n{storm.history.timeline(cid)}" for cid in cids_found)])]


async def _get(storm: Storm, path: str) -> Answer:
    head = f"GET {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"
    answer = parse(await exchange(("127.0.0.1", storm.service.rest_port), head.encode()), "GET")
    assert answer.status in (200, 204), answer.text
    assert not answer.cut
    return answer


async def _post(storm: Storm, path: str) -> Answer:
    head = f"POST /api/v0/{path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    answer = parse(await exchange(storm.service.address, head.encode()))
    assert not answer.cut
    return answer


def _lines(answer: Answer) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines() if line]
