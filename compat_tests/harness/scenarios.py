"""What a cluster of three nodes does, whatever kind of nodes they are: a class of tests for each kind derives from
`ClusterScenarios`.

    class TestSomeNodes(ClusterScenarios):
        @pytest.fixture
        def three(self, …) -> Three:
            ...                                  # a running service before three nodes that hold nothing

The fast tier runs it on embedded nodes, the compat tier on Kubo.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from compat_tests.harness.doors import ServiceDoors
from compat_tests.harness.http import Answer, directory_part, file_part, multipart, post
from compat_tests.harness.process import eventually
from ipfs_cluster.cid import RAW, make, multihash, parse, text

QUICK: dict[str, Any] = {
    "cluster": {
        "replication_factor_min": 2,
        "replication_factor_max": 2,
        "disable_repinning": False,
        "repin_grace": "1s",
        "monitor_ping_interval": "500ms",
        "pin_recover_interval": "1s",
    },
    "monitor": {"pubsubmon": {"check_interval": "500ms"}},
}
"""Overrides for the service: two copies, and little patience."""
MISSING = "QmVQ5gFjHwkRRhJXhFXXwHhMxZ1GPLEJZ6qPXGsM9pZtGF"


class NodeUnderTest(Protocol):
    """One node, as `NodeDoor` has it, that can be ended and started again."""

    @property
    def address(self) -> tuple[str, int]: ...

    def rpc(self, command: str, *pairs: tuple[str, str], seconds: float = 60) -> Answer: ...

    def add(self, content: bytes, **options: str) -> str: ...

    def pins(self, kind: str = "recursive") -> dict[str, str]: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...


@dataclass
class Three:
    """A service with the overrides QUICK before three nodes, its peers n0 (home), n1, n2."""

    service: ServiceDoors
    nodes: Sequence[NodeUnderTest]

    def holders(self, cid: str, *, without: str = "") -> set[str]:
        """Peers whose nodes say themselves that they pin it. without: one that cannot be asked."""
        names = {f"n{i}": node for i, node in enumerate(self.nodes) if f"n{i}" != without}
        return {name for name, node in names.items() if cid in node.pins()}

    def node(self, name: str) -> NodeUnderTest:
        return self.nodes[int(name[1:])]

    def add(self, *parts: tuple[str | None, bytes, str], query: str = "") -> dict[str, str]:
        """Names and CIDs of an add through the proxy."""
        return added(self.service.address, *parts, query=query)

    def add_one(self, content: bytes, query: str = "") -> str:
        """The CID of one file."""
        (cid,) = self.add(file_part("f", content), query=query).values()
        return cid


def added(address: tuple[str, int], *parts: tuple[str | None, bytes, str], query: str = "") -> dict[str, str]:
    """Names and CIDs as `add` tells them at an address."""
    headers, body = multipart(*parts)
    answer = post(address, f"/api/v0/add?{query}", headers=headers, body=body)
    assert (answer.status, answer.cut, answer.trailers.get("X-Stream-Error")) == (200, False, None), answer.text
    events = [json.loads(line) for line in answer.text.splitlines()]
    return {event["Name"]: event["Hash"] for event in events if "Hash" in event}


def has(node: NodeUnderTest, cid: str) -> bool:
    """The node has the block, and does not have to fetch it."""
    return node.rpc("block/stat", ("arg", cid), ("offline", "true")).status == 200


def raw(cid: str) -> str:
    """The CID that a collection names a block by: it knows multihashes only."""
    return text(make(RAW, multihash(parse(cid))))


class ClusterScenarios:
    """Derive from it and provide the fixture `three`."""

    # --- copies ---

    def test_a_killed_node_s_copies_are_made_elsewhere_and_it_lets_go_when_it_is_back(self, three: Three) -> None:
        content = os.urandom(600_000)
        cid = three.add_one(content, "pin-name=six")
        assert three.service.pins() == {cid: "six"}
        eventually(lambda: len(three.holders(cid)) == 2, "two copies")
        assert sorted(three.service.statuses(cid).values()) == ["pinned", "pinned", "remote"]

        before = three.holders(cid)
        victim = max(before)  # never the home node, which the proxy needs
        three.node(victim).kill()
        eventually(lambda: three.service.statuses(cid)[victim] in ("cluster_error", "remote"), "it is missed")
        eventually(lambda: len(three.holders(cid, without=victim)) == 2, "another one makes the copy")
        (newcomer,) = three.holders(cid, without=victim) - before
        answer = three.node(newcomer).rpc("cat", ("arg", cid), ("offline", "true"))
        assert (answer.status, answer.body == content) == (200, True)
        assert three.service.rpc("cat", ("arg", cid)).body == content

        three.node(victim).start()
        eventually(lambda: cid not in three.node(victim).pins(), "it lets go of what others have now")
        assert three.holders(cid) == before - {victim} | {newcomer}

    def test_a_peer_that_is_away_is_told_of_with_the_reason(self, three: Three) -> None:
        three.node("n2").kill()

        def told() -> str:
            peers = three.service.rest("/peers")
            return next(str(peer["ipfs"]["error"]) for peer in peers if peer["peername"] == "n2")

        eventually(lambda: "cannot connect to" in told(), "it is missed")
        three.node("n2").start()
        eventually(lambda: not told(), "it is back")

    def test_a_drained_node_gives_everything_away(self, three: Three) -> None:
        cids = [three.add_one(os.urandom(1000)) for _ in range(6)]
        ids = {peer["peername"]: peer["id"] for peer in three.service.rest("/peers")}
        three.service.rest(f"/peers/{ids['n1']}/drain", "POST")
        eventually(lambda: not set(cids) & set(three.node("n1").pins()), "it has given all away")
        assert all(three.holders(cid) == {"n0", "n2"} for cid in cids)

    def test_what_somebody_unpins_on_a_node_comes_back(self, three: Three) -> None:
        cid = three.add_one(os.urandom(1000))
        eventually(lambda: len(three.holders(cid)) == 2, "two copies")
        node = three.node(max(three.holders(cid)))
        assert node.rpc("pin/rm", ("arg", cid)).status == 200
        eventually(lambda: cid in node.pins(), "the comparison finds it")

    # --- pins ---

    def test_what_one_node_has_is_pinned_on_two_and_unpinned_on_both(self, three: Three) -> None:
        cid = three.nodes[2].add(os.urandom(300_000), pin="false")
        answer = three.service.rpc("pin/add", ("arg", cid), ("name", "found"))
        assert (answer.status, json.loads(answer.text)) == (200, {"Pins": [cid]})
        assert len(three.holders(cid)) == 2
        assert three.service.pins() == {cid: "found"}
        one = json.loads(three.service.rpc("pin/ls", ("arg", cid), ("names", "true")).text)
        assert one == {"Keys": {cid: {"Name": "found", "Type": "recursive"}}}
        answer = three.service.rpc("pin/rm", ("arg", cid))
        assert (answer.status, json.loads(answer.text)) == (200, {"Pins": [cid]})
        assert three.holders(cid) == set()
        assert three.service.pins() == {}
        again = three.service.rpc("pin/rm", ("arg", cid))
        assert (again.status, json.loads(again.text)["Message"]) == (500, "not pinned or pinned indirectly")

    def test_an_update_keeps_the_name_and_the_places(self, three: Three) -> None:
        old, new = (three.nodes[0].add(os.urandom(5000), pin="false") for _ in range(2))
        assert three.service.rpc("pin/add", ("arg", old), ("name", "moving"), ("wait", "all")).status == 200
        places = three.holders(old)
        answer = three.service.rpc("pin/update", ("arg", old), ("arg", new))
        assert (answer.status, json.loads(answer.text)) == (200, {"Pins": [old, new]})
        assert three.service.pins() == {new: "moving"}
        eventually(lambda: (three.holders(old), three.holders(new)) == (set(), places), "the nodes follow")

    def test_direct_and_recursive_are_told_apart(self, three: Three) -> None:
        names = added(three.nodes[0].address, directory_part("d"), file_part("d/a", b"a"), query="pin=false")
        assert three.service.rpc("pin/add", ("arg", names["d"]), ("recursive", "false")).status == 200
        assert sum(names["d"] in node.pins("direct") for node in three.nodes) == 2
        refused = three.service.rpc("pin/ls", ("arg", names["d"]), ("type", "recursive"))
        assert (refused.status, "is not pinned" in refused.text) == (500, True)
        assert three.service.rpc("pin/add", ("arg", names["d"])).status == 200
        assert three.service.pins() == {names["d"]: ""}
        assert len(three.holders(names["d"])) == 2
        indirect = json.loads(three.service.rpc("pin/ls", ("arg", names["d/a"])).text)
        assert indirect["Keys"][names["d/a"]]["Type"] == f"indirect through {names['d']}"

    def test_what_nobody_has_fails_at_the_timeout_and_leaves_nothing(self, three: Three) -> None:
        answer = three.service.rpc("pin/add", ("arg", MISSING), ("timeout", "300ms"))
        assert answer.status == 500
        assert json.loads(answer.text) == {"Message": "pin: context deadline exceeded", "Code": 0, "Type": "error"}
        assert three.service.pins() == {}
        eventually(lambda: set(three.service.statuses(MISSING).values()) == {"unpinned"}, "nothing is left to do")

    # --- adding ---

    def test_a_directory_is_one_pin_and_what_a_node_alone_makes_of_it(self, three: Three) -> None:
        parts = [
            directory_part("d"),
            file_part("d/one", b"one\n"),
            directory_part("d/empty"),
            file_part("d/sub/big", bytes(range(256)) * 2000),
        ]
        for query in ("", "wrap-with-directory=true", "cid-version=1", "raw-leaves=true&chunker=size-100000"):
            names = three.add(*parts, query=query)
            assert names == added(three.nodes[0].address, *parts, query=f"{query}&only-hash=true"), query
            root = names["" if "wrap" in query else "d"]
            assert set(three.service.pins()) == {root}
            eventually(lambda root=root: len(three.holders(root)) == 2, "two copies")  # type: ignore[misc]
            path = f"{root}/d/sub/big" if "wrap" in query else f"{root}/sub/big"
            assert three.service.rpc("cat", ("arg", path)).body == bytes(range(256)) * 2000
            assert three.service.rpc("pin/rm", ("arg", root)).status == 200

    def test_an_archive_of_one_node_is_imported_on_two(self, three: Three) -> None:
        cid = three.nodes[0].add(os.urandom(700_000), pin="false")
        archive = three.nodes[0].rpc("dag/export", ("arg", cid)).body
        headers, body = multipart(("x.car", archive, "application/octet-stream"))
        answer = post(three.service.address, "/api/v0/dag/import?stats=true", headers=headers, body=body)
        values = [json.loads(line) for line in answer.text.splitlines()]
        assert values[0]["Root"] == {"Cid": {"/": cid}, "PinErrorMsg": ""}, answer.text
        assert values[-1]["Stats"]["BlockCount"] == 4
        eventually(lambda: len(three.holders(cid)) == 2, "two copies")

    def test_blocks_and_nodes_that_are_pinned_when_they_are_put(self, three: Three) -> None:
        headers, body = multipart(("b", b"a block", "application/octet-stream"))
        answer = post(three.service.address, "/api/v0/block/put?pin=true", headers=headers, body=body)
        block = json.loads(answer.text)["Key"]
        headers, body = multipart(("n", b'{"to": 1}', "application/octet-stream"))
        answer = post(three.service.address, "/api/v0/dag/put?pin=true", headers=headers, body=body)
        node = json.loads(answer.text)["Cid"]["/"]
        assert set(three.service.pins()) == {block, node}
        for cid in (block, node):
            eventually(lambda cid=cid: len(three.holders(cid)) == 2, "two copies")  # type: ignore[misc]
        assert json.loads(three.service.rpc("dag/get", ("arg", node)).text) == {"to": 1}

    def test_an_add_that_is_cut_leaves_nothing(self, three: Three) -> None:
        headers, body = multipart(file_part("one", os.urandom(1000)), file_part("two", os.urandom(400_000)))
        head = f"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(three.service.address) as sock:
            sock.sendall((head + f"Content-Type: {headers['Content-Type']}\r\n\r\n").encode() + body[: len(body) // 2])
            eventually(lambda: any(node.pins() for node in three.nodes), "a node pins the first entry")
        eventually(lambda: not any(node.pins() for node in three.nodes), "and lets go of it")
        assert three.service.pins() == {}

    # --- garbage ---

    def test_a_collection_frees_what_nobody_pins_on_every_node(self, three: Three) -> None:
        kept, removed = (three.add_one(os.urandom(1000)) for _ in range(2))
        for cid in (kept, removed):
            eventually(lambda cid=cid: three.service.pinned_everywhere(cid), "two copies")  # type: ignore[misc]
        assert three.service.rpc("pin/rm", ("arg", removed)).status == 200
        answer = three.service.rpc("repo/gc")
        assert answer.status == 200
        assert raw(removed) in {json.loads(line)["Key"]["/"] for line in answer.text.splitlines()}
        assert not any(has(node, removed) for node in three.nodes)
        assert sum(has(node, kept) for node in three.nodes) == 2
        stat = json.loads(three.service.rpc("repo/stat").text)
        assert stat["NumObjects"] >= 2
