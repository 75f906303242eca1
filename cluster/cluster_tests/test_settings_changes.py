"""Reading a changed configuration while the service runs, and one that is kept elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.settings import Settings, SettingsError, changes, load, parse, write_source

# --- changes ---


def settings(**sections: Any) -> Settings:
    return parse({"cluster": {"peername": "me"}, **sections}, {})[0]


def test_what_can_hold_at_once_does_and_the_rest_is_named() -> None:
    now = settings()
    read = settings(
        cluster={"peername": "other", "replication_factor_min": 1, "replication_factor_max": 2},
        api={"restapi": {"read_timeout": "1m30s", "http_listen_multiaddress": "/unix/x"}},
    )
    found = changes(now, read)
    assert found.applied == (
        "cluster.replication_factor_min -1 -> 1",
        "cluster.replication_factor_max -1 -> 2",
        "api.restapi.read_timeout 0s -> 90s",
    )
    assert found.pending == ("cluster.peername", "api.restapi.http_listen_multiaddress")
    assert found.settings["cluster.replication_factor_max"] == 2
    assert found.settings["cluster.peername"] == "me"
    assert changes(found.settings, read).applied == ()
    assert changes(found.settings, read).pending == found.pending, "what waits for a restart is told every time"


def nodes(*entries: dict[str, Any]) -> Settings:
    return settings(ipfs_connector={"nodes": list(entries)})


def test_tags_and_reserves_of_the_same_nodes_change_at_once() -> None:
    one = {"name": "a", "node_multiaddress": "/unix/a", "authorization": "Bearer hush"}
    now = nodes(one, {"name": "b", "node_multiaddress": "/unix/b"})
    read = nodes({**one, "tags": {"group": "x"}, "reserve": 5}, {"name": "b", "node_multiaddress": "/unix/b"})
    found = changes(now, read)
    assert (found.applied, found.pending) == (("ipfs_connector.nodes",), ())
    assert [(node.tags, node.reserve) for node in found.settings.nodes] == [((("group", "x"),), 5), ((), None)]
    assert found.settings.nodes[0].authorization == "Bearer hush"


@pytest.mark.parametrize(
    "change",
    [{"node_multiaddress": "/unix/c", "tags": {"group": "x"}}, {"name": "c", "reserve": 5}, {"concurrent_pins": 3}],
)
def test_other_nodes_need_a_restart(change: dict[str, Any]) -> None:
    entry = {"name": "a", "node_multiaddress": "/unix/a"}
    found = changes(nodes(entry), nodes({**entry, **change, "authorization": "Bearer hush"}))
    assert (found.applied, found.pending) == ((), ("ipfs_connector.nodes",))
    assert found.settings.nodes == nodes(entry).nodes


def test_of_an_embedded_node_only_its_restart_pause_changes_at_once() -> None:
    entry = {"name": "a", "node_multiaddress": "/ip4/127.0.0.1/tcp/5101"}
    now = nodes({**entry, "embedded": {"restart_pause": "5s"}})
    quick = changes(now, nodes({**entry, "embedded": {"restart_pause": "1s"}}))
    assert (quick.applied, quick.pending) == (("ipfs_connector.nodes",), ())
    assert quick.settings.nodes == nodes({**entry, "embedded": {"restart_pause": "1s"}}).nodes
    for other in ({"restart_pause": "5s", "repo": "x"}, {"restart_pause": "5s", "storage_max": 1}, False):
        assert changes(now, nodes({**entry, "embedded": other})).pending == ("ipfs_connector.nodes",)


def test_secrets_are_not_shown() -> None:
    entry = {"name": "a", "node_multiaddress": "/unix/a", "authorization": "hush"}
    found = changes(nodes(entry), nodes({**entry, "tags": {"group": "b"}}))
    assert "hush" not in str(found.applied)


# --- source ---


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, tuple[int, bytes]]]]:
    """A web server: its URL, and what it answers by path."""
    pages: dict[str, tuple[int, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path.split("?")[0], (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", pages
        finally:
            server.shutdown()
            thread.join()


def test_a_configuration_may_be_kept_elsewhere(tmp_path: Path, web: tuple[str, dict[str, tuple[int, bytes]]]) -> None:
    url, pages = web
    pages["/service.json"] = (200, b'{"cluster": {"peername": "fetched", "replication_factor_min": 1}}')
    write_source(tmp_path, f"{url}/service.json")
    assert json.loads((tmp_path / "service.json").read_text()) == {"source": f"{url}/service.json"}
    environ = {"CLUSTER_REPLICATIONFACTORMIN": "2", "CLUSTER_REPLICATIONFACTORMAX": "3"}
    found, warnings = load(tmp_path, environ)
    assert (found.peername, found["cluster.replication_factor_min"], warnings) == ("fetched", 2, [])
    (tmp_path / "service.json").write_text(json.dumps({"source": f"{url}/service.json", "cluster": {}}))
    assert load(tmp_path, environ)[1] == ["settings beside source are ignored: cluster"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"", "answers 500 Internal Server Error"),
        (200, b"{", "is no JSON"),
        (200, b'{"source": "http://elsewhere"}', "source: only a service.json in the data folder names one"),
        (200, b'{"cluster": {"peername": 1}}', "cluster.peername: 1: must be a string"),
        (200, b"[" + b" " * 2**20 + b"]", "is larger than 1048576 bytes"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, web: tuple[str, dict[str, tuple[int, bytes]]], status: int, body: bytes, reason: str
) -> None:
    url, pages = web
    pages["/s"] = (status, body)
    write_source(tmp_path, f"{url}/s?token=hush")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, {})
    assert reason in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_source_that_does_not_answer(tmp_path: Path) -> None:
    write_source(tmp_path, "http://user:hush@127.0.0.1:9/x")
    with pytest.raises(SettingsError, match=r"source: http://127.0.0.1:9/x cannot be fetched: .*refused"):
        load(tmp_path, {})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "/ip4/127.0.0.1", "", "http:///x"])
def test_only_http(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="must be an http or https URL"):
        write_source(tmp_path, url)
    assert list(tmp_path.iterdir()) == []
