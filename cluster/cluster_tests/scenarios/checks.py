"""What must hold whenever a cluster has come to rest, whatever happened before.

At rest: everything that could go on without time moving has gone on, and each node that answers was compared with the
pinset after the last thing that somebody else did to it. While the store takes no writes nothing can come to rest.
"""

from __future__ import annotations

from cluster_tests.scenarios.model import Model
from ipfs_cluster.cid import Cid
from ipfs_cluster.model import WANTS_PIN, ClaimKind, NodePin, PeerId, Pin, PinMode, PinStatus, TrackerStatus, Work
from ipfs_cluster.nodes.empty import EMPTY_RAW_BLOCK
from ipfs_cluster.ports import Store
from ipfs_cluster.testing.fake_node import FakeNode
from ipfs_cluster.testing.simulation import Simulation


async def problems(simulation: Simulation, model: Model, *, healed: bool) -> list[str]:
    """What is wrong, in words. healed: all nodes answer, refuse nothing and can fetch everything, and had the time."""
    found = list(simulation.broken_rules)
    if simulation.store_refuses or simulation.cluster is None:
        return found
    durable = await _Durable.read(simulation.store)
    found += [
        f"{simulation.name(cid)} is {'' if cid in durable.entries else 'not '}in the pinset"
        for cid in sorted(model.cids() | durable.entries.keys(), key=simulation.name)
        if (cid in durable.entries) not in model.allows(cid, simulation.clock.time())
    ]
    found += [
        f"a claim of a dead add: {c.owner}" for c in await simulation.store.claims() if c.kind is ClaimKind.INGEST
    ]
    if healed:
        found += [
            f"{peer} still has work: {simulation.name(cid)} {row.status} {row.error}"
            for (peer, cid), row in durable.rows.items()
            if peer in simulation.cluster.peers_by_id
        ]
    for name, node in simulation.nodes.items():
        found += _of_node(simulation, durable, name, node)
    for cid in sorted(model.cids(), key=simulation.name):
        found += await _statuses(simulation, durable, cid)
    return found


class _Durable:
    """What the store has, read at once."""

    def __init__(self) -> None:
        self.entries: dict[Cid, Pin] = {}
        self.rows: dict[tuple[str, Cid], Work] = {}
        self.foreign: set[tuple[str, Cid]] = set()

    @classmethod
    async def read(cls, store: Store) -> _Durable:
        durable = cls()
        durable.entries = {pin.cid: pin async for page in store.pins() for pin in page}
        durable.rows = {(work.peer, work.cid): work async for page in store.works() for work in page}
        durable.foreign = {(item.peer, item.pin.cid) async for page in store.foreign() for item in page}
        return durable

    def wanted(self, peer: str, cid: Cid) -> Pin | None:
        pin = self.entries.get(cid)
        return pin if pin is not None and pin.wanted_on(PeerId(peer)) else None


def _of_node(simulation: Simulation, durable: _Durable, name: str, node: FakeNode) -> list[str]:
    """Every pin is where it belongs, and nothing else is."""
    peer = simulation.cluster.peers_by_id.get(PeerId(name)) if simulation.cluster else None
    if peer is None:
        return []
    found = []
    for at, foreign in simulation.foreign:
        if at == name and foreign not in node.pins_held:
            found.append(f"{name} lost a pin that was not the cluster's: {simulation.name(foreign)}")
    if not peer.up:
        return found
    for cid, pin in durable.entries.items():
        if pin.wanted_on(peer.id) and not _satisfies(node.pins_held.get(cid), pin) and (name, cid) not in durable.rows:
            found.append(f"{name} does not hold {simulation.name(cid)}, and no work says so")
    known = durable.rows.keys() | durable.foreign
    found += [
        f"{name} holds {simulation.name(cid)}, and nothing says why"
        for cid in node.pins_held.keys() - {EMPTY_RAW_BLOCK}
        if durable.wanted(name, cid) is None and (name, cid) not in known
    ]
    return found


def _satisfies(held: NodePin | None, pin: Pin) -> bool:
    return held is not None and held.mode in (pin.mode, PinMode.RECURSIVE)


async def _statuses(simulation: Simulation, durable: _Durable, cid: Cid) -> list[str]:
    """No status contradicts what the node itself would say."""
    if simulation.cluster is None:
        return []
    _, statuses = await simulation.ask(simulation.cluster.views.status(cid))
    return [
        f"{simulation.name(cid)} on {status.peer} is said to be {status.status}, {contradiction}"
        for status in statuses
        if (contradiction := _contradiction(simulation, durable, cid, status))
    ]


def _contradiction(simulation: Simulation, durable: _Durable, cid: Cid, status: PinStatus) -> str:
    node = simulation.nodes[status.peer]
    held = node.pins_held.get(cid)
    wanted = durable.wanted(status.peer, cid)
    row = durable.rows.get((status.peer, cid))
    match status.status:
        case TrackerStatus.PINNED if wanted is None or not _satisfies(held, wanted):
            return "and it is not"
        case TrackerStatus.UNPINNED if not status.error and held is not None:
            return "and the node holds it"
        case TrackerStatus.UNPINNED | TrackerStatus.REMOTE if wanted is not None:
            return "and it is wanted there"
        case TrackerStatus.CLUSTER_ERROR if not node.away and simulation.silent[status.peer].is_set():
            return "and the node answers"
        case TrackerStatus.PIN_ERROR | TrackerStatus.UNPIN_ERROR if not status.error:
            return "without a reason"
        case _ if row is not None and (row.status in WANTS_PIN) is not (wanted is not None):
            return "and its work wants the opposite of the pinset"
    return ""
