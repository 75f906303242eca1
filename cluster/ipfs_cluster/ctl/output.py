"""The text forms of ipfs-cluster-ctl."""

from __future__ import annotations

from datetime import UTC, datetime
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


def why_pin(value: dict[str, Any]) -> str:
    """A pin explained."""
    name = f" | {value['name']}" if value["name"] else ""
    lines = [f"{value['cid']}{name}: {value['why']}"]
    lines += [f"    > {info['peername'] or info['peer']} {info['why']}" for info in value["peers"]]
    return "\n".join(lines)


def why_peer(value: dict[str, Any]) -> str:
    """A peer explained."""
    return f"{value['peername']} | {value['peer']}: {value['why']}"


def drain(value: dict[str, Any]) -> str:
    """How far a peer's draining is."""
    name = value["peername"]
    if not value["draining"]:
        return f"{name} is in service; {value['remaining']:,} pins are allocated to it."
    if value["done"]:
        return f"{name} is drained: nothing is allocated to it any more, and it may be taken out of service."
    stuck = f"; no other peer can take {value['stuck']:,} of them, `why CID` says why not" if value["stuck"] else ""
    left = "1 pin has" if value["remaining"] == 1 else f"{value['remaining']:,} pins have"
    return f"{name} is being drained: {left} still to leave it{stuck}."


def adopted(value: dict[str, Any]) -> str:
    """What became of a node's own pins."""
    return f"adopted {value['adopted']:,} pins of {value['peername']}, on that peer alone"


def rebalance(value: dict[str, Any]) -> str:
    """A plan, or how far it is."""
    moves = value["moves"]
    if not moves:
        return {"idle": "No rebalance has been run.", "preview": "The nodes are filled evenly: nothing to move."}.get(
            value["state"], f"Rebalance {value['state']}: there was nothing to move."
        )
    lines = [f"Rebalance {value['state']}:"]
    for move in moves:
        done = "" if value["state"] == "preview" else f", {move['moved']:,} so far"
        lines.append(f"    > {move['pins']:,} pins ({move['bytes']:,} bytes) from {move['from']} to {move['to']}{done}")
    return "\n".join(lines)


def alert(value: dict[str, Any]) -> str:
    """An alert on one line."""
    expired = datetime.fromtimestamp(value["expire"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = "" if value["valid"] else f" ({value['value']})"
    triggered = _time(value["triggered_at"], "")
    return f"{value['peer']}: {value['name']}{text}. Expired at: {expired}. Triggered at: {triggered}"


def metric(value: dict[str, Any], now: float) -> str:
    """A measurement on one line. now: unix seconds."""
    text = value["value"]
    if value["name"] == "freespace" and value["weight"] > 0:
        text = size(value["weight"])
    return f"{value['peer']} | {value['name']}: {text} | Expires in: {_distance(value['expire'] / 1e9 - now)}"


def size(number: float) -> str:
    """As ipfs-cluster shows sizes: "12 GB", "1.5 GB"."""
    amount, units = float(number), ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    return f"{amount:.1f} {units[0]}" if amount < 10 and units[0] != "B" else f"{amount:.0f} {units[0]}"


def _distance(seconds: float) -> str:
    """As ipfs-cluster shows times: "20 seconds from now", "1 minute ago"."""
    whole = abs(int(seconds))
    if not whole:
        return "now"
    size, unit = next((size, unit) for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")) if whole >= size)
    number = whole // size
    return f"{number} {unit}{'s' if number > 1 else ''} {'from now' if seconds > 0 else 'ago'}"


def _time(text: str, absent: str) -> str:
    return absent if text == ZERO_TIME else text[:19].replace("T", " ")


def added(value: dict[str, Any], *, quiet: bool = False) -> str:
    """What an add made."""
    return str(value["cid"]) if quiet else f"added {value['cid']} {value['name']}"


def gc(value: dict[str, Any]) -> str:
    """What garbage collections removed, by peer."""
    lines: list[str] = []
    for peer, found in sorted((value["peer_map"] or {}).items()):
        error = f" | ERROR: {found['error']}" if found.get("error") else ""
        lines += [f"{found['peername'] or peer:<15}{error}", "  > CIDs:"]
        for key in found["keys"] or ():
            lines.append(f"    - ERROR: {key['error']}" if key.get("error") else f"    - {key['key']}")
    return "\n".join(lines)


def bandwidth(value: dict[str, Any]) -> str:
    """Bytes by protocol."""
    return "\n".join(
        f"{protocol:>25}: In: {size(stats['total_in']):>7}. Out: {size(stats['total_out']):>7}. "
        f"RateIn: {stats['rate_in']:.2f}B/s. RateOut: {stats['rate_out']:.2f}B/s"
        for protocol, stats in sorted(value.items())
    )
