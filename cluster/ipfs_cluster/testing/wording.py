"""Writes of a store and calls of nodes as short lines, for transcripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ipfs_cluster.cid import Cid
from ipfs_cluster.model import PeerId, Pin, PinMode
from ipfs_cluster.ports import (
    CommitPending,
    DropPending,
    FailWork,
    FinishWork,
    ForgetForeign,
    ForgetPeer,
    PutClaim,
    PutPeer,
    PutPending,
    PutPin,
    QueueWork,
    RecordForeign,
    ReleaseClaims,
    RemovePin,
    Write,
)

Name = Callable[[Cid], str]
"""The short name of a CID."""


def pin_text(pin: Pin, name: Name) -> str:
    """An entry in one line, without what it has by default."""
    words = [name(pin.cid)]
    words += ["direct"] if pin.mode is PinMode.DIRECT else []
    words += [pin.type.value] if pin.type.value != "pin" else []
    words += [f"name={pin.name}"] if pin.name else []
    words += [f"from={name(pin.pin_update)}"] if pin.pin_update is not None else []
    words += ["expires"] if pin.expire_at else []
    words += ["on", *pin.allocations] if pin.allocations else ["everywhere"]
    return " ".join(words)


def write_text(write: Write, name: Name) -> str:
    """One write in the words of the domain. Guards and times are left out."""
    match write:
        case PutPin(pin=pin):
            return "PutPin " + pin_text(pin, name) + _peers(queue=write.queue, held=write.held, release=write.release)
        case RemovePin(cid=cid, release=release):
            return f"RemovePin {name(cid)}" + _peers(release=release)
        case PutPending(op=op, pin=pin):
            return f"PutPending {op} " + pin_text(pin, name) + _peers(queue=write.queue, held=write.held)
        case CommitPending(op=op) | DropPending(op=op):
            return f"{type(write).__name__} {op}"
        case PutClaim(peer=peer, cid=cid, owner=owner):
            return f"PutClaim {peer} {name(cid)} {owner}"
        case ReleaseClaims(owner=owner, cid=released, keep=keep):
            return _words("ReleaseClaims", owner, "" if released is None else name(released), "keep" if keep else "")
        case FinishWork(peer=peer, cid=cid):
            return f"FinishWork {peer} {name(cid)}"
        case FailWork(peer=peer, cid=cid):
            return f"FailWork {peer} {name(cid)} {write.status.value} attempts={write.attempts} {quoted(write.error)}"
        case QueueWork(peer=peer, cid=cid, status=status, error=error):
            return _words("QueueWork", peer, name(cid), status.value, quoted(error) if error else "")
        case PutPeer(peer=record):
            flags = ["surveyed" if record.surveyed else "", "adopted" if record.adopted else ""]
            return _words("PutPeer", record.id, f"node={record.node_id}", *flags)
        case ForgetPeer(peer=peer):
            return f"ForgetPeer {peer}"
        case RecordForeign(peer=peer, pins=pins, orphan=orphan):
            return _words("RecordForeign", peer, *(name(pin.cid) for pin in pins), "orphan" if orphan else "")
        case ForgetForeign(peer=peer, cids=cids):
            return _words("ForgetForeign", peer, *map(name, cids))


def quoted(text: str) -> str:
    """A message inside a line."""
    return f'"{text}"'


def _words(*words: str) -> str:
    return " ".join(word for word in words if word)


def _peers(**roles: Sequence[PeerId] | Iterable[PeerId]) -> str:
    return "".join(f", {role} {' '.join(sorted(peers))}" for role, peers in roles.items() if peers)
