"""The text forms of ipfs-cluster-ctl."""

from __future__ import annotations

from typing import Any

ZERO_TIME = "0001-01-01T00:00:00Z"


def identity(value: dict[str, Any]) -> str:
    """A peer and its node."""
    if value.get("error"):
        return f"{value['id']} | ERROR: {value['error']}"
    others = max(len(value.get("cluster_peers") or []) - 1, 0)
    lines = [f"{value['id']} | {value['peername']} | Sees {others} other peers", "  > Addresses:"]
    lines += [f"    - {address}" for address in sorted(value.get("addresses") or [])]
    ipfs = value["ipfs"]
    if ipfs.get("error"):
        lines.append(f"  > IPFS ERROR: {ipfs['error']}")
    else:
        lines.append(f"  > IPFS: {ipfs.get('id', '')}")
        lines += [f"    - {address}" for address in sorted(ipfs.get("addresses") or [])]
        if ipfs.get("full"):
            lines.append(f"  > GETS NOTHING NEW: {ipfs['full']}")
    return "\n".join(lines)


def pin(value: dict[str, Any]) -> str:
    """A pinset entry on one line."""
    kind = {"pin": "PIN", "meta-pin": "META-PIN", "clusterdag-pin": "CLUSTERDAG-PIN", "shard-pin": "SHARD-PIN"}
    label = kind.get(value["type"], value["type"]) + ("-DIRECT" if value["mode"] == "direct" else "")
    if value["replication_factor_min"] == -1:
        where = "Repl. Factor: -1 | Allocations: [everywhere]"
    else:
        factors = f"{value['replication_factor_min']}--{value['replication_factor_max']}"
        where = f"Repl. Factor: {factors} | Allocations: [{' '.join(value['allocations'])}]"
    depth = {-1: "Recursive", 0: "Direct"}.get(value["max_depth"], f"Recursive-{value['max_depth']}")
    metadata = "yes" if value["metadata"] else "no"
    return (
        f"{value['cid']} | {value['name']} | {label} | {where} | {depth} | Metadata: {metadata} | "
        f"Exp: {_time(value['expire_at'], '∞')} | Added: {_time(value['timestamp'], 'unknown')}"
    )


def event(value: dict[str, Any]) -> str:
    """A line of the change feed."""
    match value["type"]:
        case "pin":
            return f"PINNED | {pin(value['pin'])}"
        case "unpin":
            return f"REMOVED | {value['cid']}"
        case "reset":
            return "RESET | the whole pinset follows"
        case _:
            return f"PLACE | {value['place']}"


def foreign(value: dict[str, Any]) -> str:
    """A pin that is none of the pinset's."""
    where = value["peername"] or value["peer"]
    return f"{value['cid']} | {where} | {value['kind'].upper()} | {value['mode'].capitalize()} | {value['name']}"


def status(value: dict[str, Any]) -> str:
    """A CID on all peers."""
    name = f" | {value['name']}" if value["name"] else ""
    lines = [f"{value['cid']}{name}:"]
    for peer, info in sorted(value["peer_map"].items()):
        error = f": {info['error']}" if info["error"] else ""
        lines.append(
            f"    > {info['peername'] or peer:<20} : {info['status'].upper()}{error} | {info['timestamp']} | "
            f"Attempts: {info['attempt_count']} | Priority: {str(info['priority_pin']).lower()}"
        )
    return "\n".join(lines)


def _time(text: str, absent: str) -> str:
    return absent if text == ZERO_TIME else text[:19].replace("T", " ")
