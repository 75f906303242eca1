"""Sentences for operators. Each is compared whole: they are read by people."""

from __future__ import annotations

import pytest

from cluster_tests.engine.conftest import cid
from ipfs_cluster.core.failures import Failure
from ipfs_cluster.core.membership import NOT_COMPARED, PeerStanding
from ipfs_cluster.core.why import Outlook, PeerFacts, Wait, about_copy, about_peer, about_pin, amount, span
from ipfs_cluster.model import PeerId, Pin, PinProgress, PinStatus, TrackerStatus

NOW = 1_000_000.0
A, B, C = (PeerId(name) for name in "ABC")
UP, AWAY, GONE, DRAINING = PeerStanding.UP, PeerStanding.AWAY, PeerStanding.GONE, PeerStanding.DRAINING
ALL_UP = Outlook({A: UP, B: UP, C: UP}, {})


def status(peer: PeerId, kind: TrackerStatus, *, ago: float = 90.0, **more: object) -> PinStatus:
    return PinStatus(peer, f"node{peer}", f"id{peer}", kind, NOW - ago, **more)  # type: ignore[arg-type]


def pin(*on: PeerId, low: int = 2, high: int = 3, expire_at: float = 0.0) -> Pin:
    return Pin(cid(1), allocations=on, replication_min=low, replication_max=high, expire_at=expire_at)


PINNED = [status(peer, TrackerStatus.PINNED) for peer in (A, B, C)]


@pytest.mark.parametrize(
    ("entry", "statuses", "outlook", "sentence"),
    [
        (pin(A, B, C), PINNED, ALL_UP, "Held by 3, wanted on 2 to 3 peers: complete."),
        (
            pin(A, B, C, expire_at=NOW + 7200),
            PINNED,
            ALL_UP,
            "Held by 3, wanted on 2 to 3 peers: complete. It expires in 2 h.",
        ),
        (
            pin(A, B, C),
            [*PINNED[:2], status(C, TrackerStatus.PINNING)],
            ALL_UP,
            "Held by 2, wanted on 2 to 3 peers: enough. nodeC is to get it, see below.",
        ),
        (
            pin(A, B, low=2, high=2),
            [PINNED[0], status(B, TrackerStatus.CLUSTER_ERROR)],
            Outlook({A: UP, B: AWAY}, {B: 120.0}),
            "Held by 1, wanted on 2 peers: below its minimum. nodeB does not answer; if that lasts, the copy is made "
            "elsewhere in 2 min.",
        ),
        (
            pin(A, B, low=2, high=2),
            [PINNED[0], status(B, TrackerStatus.CLUSTER_ERROR)],
            Outlook({A: UP, B: GONE}, {B: -5.0}, unfit={"nodeC": "its disk is full"}),
            "Held by 1, wanted on 2 peers: below its minimum. nodeB does not answer. No other peer can take it: nodeC "
            "(its disk is full).",
        ),
        (
            pin(A, B, low=2, high=2),
            [PINNED[0], status(B, TrackerStatus.CLUSTER_ERROR)],
            Outlook({A: UP, B: GONE}, {B: -5.0}, off="re-allocation is switched off"),
            "Held by 1, wanted on 2 peers: below its minimum. nodeB does not answer. No other peer is given it now: "
            "re-allocation is switched off.",
        ),
        (
            pin(A, B, low=2, high=2),
            PINNED[:2],
            Outlook({A: UP, B: DRAINING}, {}, off="re-allocation is switched off", unfit={"nodeC": "its disk is full"}),
            "Held by 2, wanted on 2 peers: complete. nodeB is being drained, so its copy is to be made elsewhere. No "
            "other peer can take it: nodeC (its disk is full). It stays on nodeB until one can.",
        ),
        (
            pin(A, B, low=1, high=2),
            PINNED[:2],
            Outlook({A: UP, B: DRAINING}, {}, unfit={}),
            "Held by 2, wanted on 1 to 2 peers: complete. nodeB is being drained, so its copy is to be made elsewhere. "
            "Every peer has it or is to get it already: add peers, or free some.",
        ),
        (
            pin(A, B, low=2, high=2),
            PINNED[:2],
            Outlook({A: UP, B: DRAINING}, {}, off="re-allocation is switched off"),
            "Held by 2, wanted on 2 peers: complete. nodeB is being drained, so its copy is to be made elsewhere. "
            "Another peer is given it by the next sweep.",
        ),
        (
            pin(A, B, low=2, high=2),
            PINNED[:2],
            Outlook({A: UP, B: DRAINING}, {}, hold="the service is starting"),
            "Held by 2, wanted on 2 peers: complete. nodeB is being drained, so its copy is to be made elsewhere. No "
            "other peer is given it now: the service is starting.",
        ),
        (
            pin(A, C, B, low=2, high=2),
            [PINNED[0], status(C, TrackerStatus.PIN_QUEUED), PINNED[1]],
            Outlook({A: UP, B: DRAINING, C: UP}, {}, unfit={}),
            "Held by 2, wanted on 2 peers: complete. nodeB is being drained, so its copy is to be made elsewhere. "
            "nodeC is to get it, see below.",
        ),
        (
            pin(A, C, B, low=2, high=2),
            PINNED,
            Outlook({A: UP, B: DRAINING, C: UP}, {}, unfit={}),
            "Held by 3, wanted on 2 peers: complete; it is being moved, and what is too much is let go of when the new "
            "copies are made.",
        ),
        (
            pin(A, B, low=1, high=2),
            [PINNED[0], status(B, TrackerStatus.PIN_ERROR, error="no space left on device")],
            Outlook({A: UP, B: UP}, {}, barred={B: Failure.DISK_FULL}),
            "Held by 1, wanted on 1 to 2 peers: enough. nodeB cannot make its copy (disk full). Another peer is given "
            "it by the next sweep.",
        ),
        (
            pin(A, B, low=2, high=2),
            [PINNED[0], status(B, TrackerStatus.PIN_ERROR, error="no space left on device")],
            Outlook({A: UP, B: UP}, {}, unfit={}, barred={B: Failure.DISK_FULL}),
            "Held by 1, wanted on 2 peers: below its minimum. nodeB cannot make its copy (disk full). Every peer has "
            "it or is to get it already: add peers, or free some.",
        ),
        (
            pin(A, B, low=2, high=2),
            [PINNED[0], status(B, TrackerStatus.PIN_ERROR, error="no space left on device")],
            Outlook({A: UP, B: UP}, {}, off="re-allocation is switched off", barred={B: Failure.DISK_FULL}),
            "Held by 1, wanted on 2 peers: below its minimum. nodeB cannot make its copy (disk full). No other peer is "
            "given it now: re-allocation is switched off.",
        ),
        (
            pin(A, B, C, low=1, high=1),
            [status(peer, TrackerStatus.PIN_ERROR, error="blocked") for peer in (A, B, C)],
            Outlook({A: UP, B: UP, C: UP}, {}, barred={PeerId(name): Failure.BLOCKED for name in "ABCDE"}),
            "Held by 0, wanted on 1 peer: below its minimum. nodeA and nodeB and nodeC cannot make their copies "
            "(blocked). No further node is asked: the denylists of 5 name it.",
        ),
        (
            Pin(cid(1)),
            [*PINNED[:2], status(C, TrackerStatus.CLUSTER_ERROR, error=NOT_COMPARED)],
            ALL_UP,
            "Held by 2, wanted on all 3 peers: not all of them. Whether nodeC holds it is not known yet.",
        ),
        (
            Pin(cid(1)),
            [*PINNED[:2], status(C, TrackerStatus.PIN_ERROR, error="blocked")],
            Outlook({A: UP, B: UP, C: UP}, {}, barred={C: Failure.BLOCKED}),
            "Held by 2, wanted on all 3 peers: not all of them. nodeC cannot make its copy (blocked).",
        ),
        (
            Pin(cid(1)),
            [*PINNED[:2], status(C, TrackerStatus.CLUSTER_ERROR)],
            ALL_UP,
            "Held by 2, wanted on all 3 peers: not all of them. nodeC does not answer, and gets it when back.",
        ),
        (Pin(cid(1)), PINNED, ALL_UP, "Held by 3, wanted on all 3 peers: complete."),
        (
            Pin(cid(1)),
            PINNED,
            Outlook({A: UP, B: DRAINING, C: UP}, {}),
            "Held by 3, wanted on all 3 peers: complete.",
        ),
        (
            None,
            [status(A, TrackerStatus.UNPIN_QUEUED), status(B, TrackerStatus.UNPINNED)],
            ALL_UP,
            "Not in the pinset; nodeA has still to let go of it.",
        ),
        (
            None,
            [status(A, TrackerStatus.UNPINNED, error="held")],
            ALL_UP,
            "Not in the pinset, but held by nodeA: pin it to keep it, or unpin it on the node.",
        ),
        (None, [status(A, TrackerStatus.UNPINNED)], ALL_UP, "Not in the pinset."),
    ],
)
def test_a_pin_as_a_whole(entry: Pin | None, statuses: list[PinStatus], outlook: Outlook, sentence: str) -> None:
    assert about_pin(entry, statuses, outlook, NOW) == sentence


def test_what_belongs_everywhere_stays_on_a_drained_peer() -> None:
    assert about_copy(PINNED[0], DRAINING, Wait(), NOW, everywhere=True) == (
        "holds it, and keeps it while the peer is in the configuration, as it belongs everywhere"
    )


@pytest.mark.parametrize(
    ("copy", "standing", "wait", "sentence"),
    [
        (PINNED[0], UP, Wait(), "holds it"),
        (
            status(A, TrackerStatus.CLUSTER_ERROR, error=NOT_COMPARED),
            UP,
            Wait(),
            "may hold it: what its node holds has not been compared with the pinset yet",
        ),
        (PINNED[0], DRAINING, Wait(), "holds it; it goes when others hold it, as the peer is drained"),
        (
            status(A, TrackerStatus.PINNING, ago=720, progress=PinProgress(1203, 3 * 2**20, NOW - 4)),
            UP,
            Wait(),
            "has been fetching it for 12 min: 1,203 blocks, 3.0 MiB so far, the last one 4 s ago",
        ),
        (
            status(A, TrackerStatus.PINNING, progress=PinProgress(1, 0, NOW - 80), attempts=2, error="no new block"),
            UP,
            Wait(),
            "has been fetching it for 1 min 30 s: 1 block so far, nothing new for 1 min 20 s (attempt 3; before: no "
            "new block)",
        ),
        (
            status(A, TrackerStatus.PINNING),
            UP,
            Wait(Failure.PIN_LOCK),
            "has been fetching it for 1 min 30 s: no block so far; nobody that has it was found yet; an add or a "
            "collection that somebody else began on the node keeps it from pinning",
        ),
        (
            status(A, TrackerStatus.PIN_QUEUED),
            UP,
            Wait(ahead=1203),
            "has been waiting to fetch it for 1 min 30 s: 1,203 come before it on this node",
        ),
        (
            status(A, TrackerStatus.PIN_QUEUED),
            AWAY,
            Wait(until="goes on when its node is back"),
            "has been waiting to fetch it for 1 min 30 s: goes on when its node is back",
        ),
        (
            status(A, TrackerStatus.PIN_ERROR, attempts=3, error="no space left on device", next_retry=NOW + 240),
            UP,
            Wait(Failure.DISK_FULL),
            "could not fetch it in 3 attempts: no space left on device (free some space there); next attempt in 4 min",
        ),
        (
            status(A, TrackerStatus.UNPIN_ERROR, attempts=1, error="busy", next_retry=NOW + 5),
            UP,
            Wait(),
            "could not let go of it in 1 attempt: busy; next attempt in 5 s",
        ),
        (
            status(A, TrackerStatus.CLUSTER_ERROR, error="refused"),
            GONE,
            Wait(),
            "has not answered for 1 min 30 s (refused); its copy counts no longer",
        ),
        (
            status(A, TrackerStatus.UNEXPECTEDLY_UNPINNED),
            UP,
            Wait(),
            "lost it 1 min 30 s ago, and fetches it again: begins as soon as a place is free",
        ),
    ],
)
def test_a_copy(copy: PinStatus, standing: PeerStanding, wait: Wait, sentence: str) -> None:
    assert about_copy(copy, standing, wait, NOW) == sentence


@pytest.mark.parametrize("kind", TrackerStatus)
@pytest.mark.parametrize("attempts", [0, 4])
def test_every_status_has_a_sentence(kind: TrackerStatus, attempts: int) -> None:
    sentence = about_copy(status(A, kind, attempts=attempts, error="why"), UP, Wait(), NOW)
    assert sentence
    assert not sentence.endswith(("None", ": ", "."))


def facts(**more: object) -> PeerFacts:
    given: dict[str, object] = {"up": True, "error": "", "since": 7200.0, "standing": UP, **more}
    return PeerFacts(**{"pinning": 0, "queued": 0, "failing": 0, "unpinning": 0, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (facts(), "Its node answers, for 2 h. It has nothing to do."),
        (
            facts(pinning=10, queued=2000, failing=3, oldest=60.0),
            "Its node answers, for 2 h. 10 pins are being fetched, 2,000 wait for their turn, the oldest for 1 min, 3 "
            "failed and are tried again.",
        ),
        (
            facts(up=False, error="connection refused", since=60.0, standing=AWAY, gone_in=240.0),
            "Its node cannot be used, for 1 min: connection refused. Its copies count for another 4 min. It has "
            "nothing to do.",
        ),
        (
            facts(up=False, error="connection refused", standing=GONE, remaining=12),
            "Its node cannot be used, for 2 h: connection refused. Its copies count no longer; 12 pins are still "
            "allocated to it. It has nothing to do.",
        ),
        (
            facts(standing=DRAINING, remaining=5),
            "Its node answers, for 2 h. It has nothing to do. It is being drained: 5 pins are still to be moved. "
            "`drain --undo` takes it into service again.",
        ),
        (
            facts(standing=DRAINING, remaining=1, stuck=1),
            "Its node answers, for 2 h. It has nothing to do. It is being drained: 1 pin is still to be moved; no "
            "other peer can take 1 of them, `why CID` says of each why not. `drain --undo` takes it into service "
            "again.",
        ),
        (
            facts(standing=DRAINING),
            "Its node answers, for 2 h. It has nothing to do. It is drained: nothing is allocated to it any more, and "
            "it may be taken out of service. `drain --undo` takes it into service again.",
        ),
        (
            facts(known=False),
            "Its node answers, for 2 h. What its node holds has not been compared with the pinset yet. It has nothing "
            "to do.",
        ),
        (
            facts(unfit="its disk is full"),
            "Its node answers, for 2 h. It has nothing to do. It gets no new pins: its disk is full.",
        ),
    ],
)
def test_a_peer_as_a_whole(known: PeerFacts, sentence: str) -> None:
    assert about_peer(known) == sentence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (660, "11 min"),
        (3661, "1 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (2**41, "2.0 TiB")])
def test_amounts(size: int, text: str) -> None:
    assert amount(size) == text
