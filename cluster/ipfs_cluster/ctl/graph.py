"""The connectivity graph in the language of Graphviz, as ipfs-cluster-ctl draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def dot(graph: Mapping[str, Any], *, everyone: bool = False) -> str:
    """A ConnectGraph drawn. everyone: also the nodes that are none of the cluster's."""
    links: dict[str, list[str]] = {peer: list(others or ()) for peer, others in (graph["cluster_links"] or {}).items()}
    homes: dict[str, str] = graph["cluster_to_ipfs"] or {}
    swarm = _swarm(graph["ipfs_links"] or {}, everyone)
    peers = {peer: _peer(graph, peer, number) for number, peer in enumerate(sorted(links))}
    nodes = {node: _box(f"I{number}", "IPFS", _short(node), node, "turquoise3", "cylinder")
             for number, node in enumerate(sorted(swarm))}  # fmt: skip
    for peer in sorted(links):
        if peer not in homes:
            nodes[peer] = _box(f"I{len(nodes)}", "IPFS", "Errored", peer, "firebrick1", "cylinder")
    lines = [
        "digraph cluster {",
        *_comments("The nodes of the connectivity graph", "The cluster-service peers"),
        *_ranked("min", peers.values()),
        *_comments("The ipfs peers"),
        *_ranked("max", nodes.values()),
        *_comments(
            "Edges representing active connections in the cluster", "The connections among cluster-service peers"
        ),
        *(_edge(peers, peer, peers, other) for peer in sorted(links) for other in links[peer] if other in peers),
        "",
        *_comments("The connections between cluster peers and their ipfs daemons"),
        *(_home(peers, peer, nodes, homes.get(peer)) for peer in sorted(links) if homes.get(peer, peer) in nodes),
        "",
        *_comments("The swarm peer connections among ipfs daemons in the cluster"),
        *(_edge(nodes, node, nodes, other) for node in sorted(swarm) for other in swarm[node]),
        "}",
    ]
    return "\n".join(lines)


def _swarm(links: Mapping[str, Any], everyone: bool) -> dict[str, list[str]]:
    shown = {node: [other for other in others or () if everyone or other in links] for node, others in links.items()}
    if everyone:
        shown |= {other: [] for others in links.values() for other in others or () if other not in links}
    return shown


def _peer(graph: Mapping[str, Any], peer: str, number: int) -> str:
    name = (graph.get("id_to_peername") or {}).get(peer, "")
    if peer == graph["cluster_id"]:
        return _box(f"C{number}", name, _short(peer), peer, "orange", "box3d", 'peripheries="2" ')
    trusted = (graph.get("cluster_trust_links") or {}).get(peer, False)
    letter, colour = ("T", "orange") if trusted else ("C", "darkorange3")
    return _box(f"{letter}{number}", name, _short(peer), peer, colour, "box3d")


def _box(name: str, title: str, text: str, group: str, colour: str, shape: str, more: str = "") -> str:
    label = f"< <B> {_escaped(title)} </B> <BR/> <B> {_escaped(text)} </B> >"
    look = f'color="{colour}" style="filled" colorscheme="x11" fontcolor="black" fontname="Arial" shape="{shape}"'
    return f'{name} [label={label} group="{group}" {look} {more}]'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(peer: str) -> str:
    return f"{peer[:2]}*{peer[-6:]}"


def _name(box: str) -> str:
    return box.partition(" ")[0]


def _edge(starts: Mapping[str, str], start: str, ends: Mapping[str, str], end: str) -> str:
    return f"{_name(starts[start])} -> {_name(ends[end])}"


def _home(peers: Mapping[str, str], peer: str, nodes: Mapping[str, str], node: str | None) -> str:
    edge = _edge(peers, peer, nodes, node or peer)
    return edge if node else f'{edge} [style="dotted"]'


def _comments(*texts: str) -> list[str]:
    return [f"/* {text} */" for text in texts]


def _ranked(rank: str, boxes: Iterable[str]) -> list[str]:
    return ["subgraph  {", f'rank="{rank}"', *boxes, "}", ""]
