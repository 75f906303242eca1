"""`health graph`: what ipfs-cluster's own test of its graphs expects."""

from __future__ import annotations

from pathlib import Path

import pytest
import responses

from ipfs_cluster.ctl.graph import dot
from ipfs_cluster.ctl.main import main

P1 = "QmUBuxVHoNNjfmNpTad36UeaFQv3gXAtCv9r6KhmeqhEhD"
P2 = "QmV35LjbEGPfN7KfMAJp43VV2enwXqqQf5esx4vUcgHDQJ"
P3 = "QmZ2ckU7G35MYyJgMTwMUnicsGqSy3YUxGBX7qny6MQmJu"
N1 = "QmXbiVZd93SLiu9TAm21F2y9JwGiFLydbEVkPBaMR3DZDV"
N2 = "QmPFKAGZbUjdzt8BBx8VTWCe9UeUQVcoqHFehSPzN5LSsq"
ELSE = "QmQsdAdCHs4PRLi5tcoLfasYppryqQENxgAy4b2aS8xccb"
LOOK = 'style="filled" colorscheme="x11" fontcolor="black" fontname="Arial"'
GRAPH = {
    "cluster_id": P1,
    "id_to_peername": {P1: "one", P2: "<two>"},
    "ipfs_links": {N1: [N2, ELSE], N2: [N1]},
    "cluster_links": {P1: [P2, P3], P2: [P1], P3: []},
    "cluster_trust_links": {P2: True, P3: False},
    "cluster_to_ipfs": {P1: N1, P2: N2},
}
DRAWN = f"""\
digraph cluster {{
/* The nodes of the connectivity graph */
/* The cluster-service peers */
subgraph  {{
rank="min"
C0 [label=< <B> one </B> <BR/> <B> Qm*eqhEhD </B> > group="{P1}" color="orange" {LOOK} shape="box3d" peripheries="2" ]
T1 [label=< <B> &lt;two&gt; </B> <BR/> <B> Qm*cgHDQJ </B> > group="{P2}" color="orange" {LOOK} shape="box3d" ]
C2 [label=< <B>  </B> <BR/> <B> Qm*6MQmJu </B> > group="{P3}" color="darkorange3" {LOOK} shape="box3d" ]
}}

/* The ipfs peers */
subgraph  {{
rank="max"
I0 [label=< <B> IPFS </B> <BR/> <B> Qm*N5LSsq </B> > group="{N2}" color="turquoise3" {LOOK} shape="cylinder" ]
I1 [label=< <B> IPFS </B> <BR/> <B> Qm*R3DZDV </B> > group="{N1}" color="turquoise3" {LOOK} shape="cylinder" ]
I2 [label=< <B> IPFS </B> <BR/> <B> Errored </B> > group="{P3}" color="firebrick1" {LOOK} shape="cylinder" ]
}}

/* Edges representing active connections in the cluster */
/* The connections among cluster-service peers */
C0 -> T1
C0 -> C2
T1 -> C0

/* The connections between cluster peers and their ipfs daemons */
C0 -> I1
T1 -> I0
C2 -> I2 [style="dotted"]

/* The swarm peer connections among ipfs daemons in the cluster */
I0 -> I1
I1 -> I0
}}"""


def test_the_nodes_of_the_cluster() -> None:
    assert dot(GRAPH) == DRAWN


def test_all_nodes() -> None:
    drawn = dot(GRAPH, everyone=True)
    assert "\nI1 [label=< <B> IPFS </B> <BR/> <B> Qm*S8xccb </B> >" in drawn
    assert drawn.endswith("\nI0 -> I2\nI2 -> I0\nI2 -> I1\n}")


def test_to_a_file_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with responses.RequestsMock() as api:
        api.get("http://127.0.0.1:9094/health/graph", json=GRAPH)
        assert main(["health", "graph", "--file", str(tmp_path / "g.dot")]) == 0
        assert (tmp_path / "g.dot").read_text() == DRAWN
        assert main(["health", "graph", "-f", str(tmp_path)]) == 1
        assert capsys.readouterr() == ("", f"error: {tmp_path}: Is a directory\n")
        assert main(["--enc", "json", "health", "graph"]) == 0
        assert '    "cluster_id": "' in capsys.readouterr().out
