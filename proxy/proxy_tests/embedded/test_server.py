"""What an embedded node says about itself, and who may reach it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipfs_cluster.addresses import is_peer_id
from ipfs_cluster.identity import create
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_proxy.embedded import EmbeddedServer, ExposedListener
from ipfs_proxy.front.server import Listen
from proxy_tests.embedded.client import ask
from proxy_tests.embedded.conftest import Door

EXPOSED = "X-Stream-Output, X-Chunked-Output, X-Content-Length"


async def test_heads_are_kubos(door: Door) -> None:
    answer = await door.post("version")
    answer.headers.pop("Date")
    assert answer.headers == {
        "Access-Control-Allow-Headers": EXPOSED,
        "Access-Control-Expose-Headers": EXPOSED,
        "Content-Type": "application/json",
        "Server": "kubo/0.43.0/embedded",
        "Trailer": "X-Stream-Error",
        "Vary": "Origin",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
    }
    assert list(answer.value) == ["Version", "Commit", "Repo", "System", "Golang"]
    assert (answer.value["Version"], answer.value["Commit"]) == ("0.43.0", "embedded")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "ipfs version 0.43.0\n"),
        ("&number=true", "0.43.0\n"),
        ("&commit=true", "ipfs version 0.43.0-embedded\n"),
        ("&repo=true", "18\n"),
    ],
)
async def test_the_version_as_text(door: Door, query: str, text: str) -> None:
    assert (await door.post(f"version?encoding=text{query}")).text == text


async def test_the_engine_sees_a_node_of_a_known_version(door: Door, kubo: KuboNode) -> None:
    info = await kubo.info()
    assert is_peer_id(info.id)
    assert info.addresses == (f"/ip4/127.0.0.1/tcp/{door.address[1]}/http/p2p/{info.id}",)
    assert (info.agent_version, info.version) == ("kubo/0.43.0/embedded", "0.43.0")


async def test_its_id_in_other_bases_and_nobody_elses(door: Door) -> None:
    own = (await door.post("id")).value["ID"]
    assert (await door.post("id?encoding=text&format=%3Cid%3E%5Cn")).text == f"{own}\n"
    assert (await door.post("id?peerid-base=base36")).value["ID"].startswith("k51qzi5uqu5d")
    assert (await door.post(f"id?arg={own}")).value["ID"] == own
    assert (await door.post("id?arg=foo")).error == "invalid peer id"
    assert (await door.post(f"id?arg={create().id}")).error == "routing: not found"


async def test_a_command_of_sub_commands_only_answers_nothing(door: Door) -> None:
    listed = (await door.post("commands?encoding=text")).text.splitlines()
    assert {"ipfs", "ipfs commands", "ipfs id", "ipfs version"} <= set(listed)
    assert listed == sorted(listed)
    tree = (await door.post("commands?flags=true")).value
    assert (tree["Name"], {"Names": ["encoding", "enc"]} in tree["Options"]) == ("ipfs", True)
    options = {child["Name"]: child["Options"] for child in tree["Subcommands"]}
    assert options["version"][0] == {"Names": ["number", "n"]}


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("POST", "/api/v0/nosuch", 404), ("GET", "/api/v0/id", 405), ("OPTIONS", "/api/v0/id", 204), ("GET", "/", 404)],
)
async def test_what_is_not_here(door: Door, method: str, target: str, status: int) -> None:
    assert (await ask(door.address, method, target)).status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Referer": "http://evil.example/page"},
        {"User-Agent": "Mozilla/5.0 (X11)"},
    ],
)
async def test_web_pages_are_kept_out(door: Door, headers: dict[str, str]) -> None:
    answer = await ask(door.address, "POST", "/api/v0/id", headers)
    assert (answer.status, answer.body) == (403, b"403 - Forbidden\n")


async def test_pages_of_its_own_may_call(door: Door) -> None:
    origin = f"http://localhost:{door.address[1]}"
    for target, status in (("/api/v0/id", 200), ("/api/v0/nosuch", 404)):
        answer = await ask(door.address, "POST", target, {"Origin": origin})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, origin)


async def test_others_than_this_machine_are_not_let_in_without_credentials(door: Door) -> None:
    with pytest.raises(ExposedListener, match=r"0\.0\.0\.0 is not a loopback address"):
        EmbeddedServer(create(), door.node, [Listen("0.0.0.0", 0)])


async def test_a_unix_socket(tmp_path: Path, door: Door) -> None:
    path = str(tmp_path / "api")
    server = EmbeddedServer(create(), door.node, [Listen(unix=path)])
    await server.start()
    try:
        assert server.addresses == [path]
        assert (await ask(path, "POST", "/api/v0/id")).value["Addresses"] is None
    finally:
        await server.close(0)


async def test_the_documentation_lists_the_commands(door: Door) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"
    section = page.read_text(encoding="utf-8").split("## The embedded node", 1)[1]
    listed = re.findall(r"`([a-z/-]+)`", section.split("Commands:", 1)[1].split("Everything else", 1)[0])
    told = (await door.post("commands?encoding=text")).text.splitlines()
    commands = {line.removeprefix("ipfs ").replace(" ", "/") for line in told} - {"ipfs"}
    parents = {command.rpartition("/")[0] for command in commands} - {"refs"}
    assert listed == sorted(commands - parents)
