"""`ipfs-cluster-service state`: the pinset as a whole."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from pathlib import Path

import pytest

import cluster_tests
from ipfs_cluster import SystemClock, statefile
from ipfs_cluster.datafolder import FolderLock
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.model import PeerId, Pin
from ipfs_cluster.ports import PeerRecord, PutPeer, RecordForeign
from ipfs_cluster.stores.sqlite import SqliteStore, all_pins, import_pins
from ipfs_cluster.testing.store_values import cid, node_pin, pin
from ipfs_proxy.service import main

GONE = PeerId("12D3KooWSVuKHVgMq8qpbx8ubzxZnEzEc5m2YGCyCXKkBcz8cyNb")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("CLUSTER_", "IPFS_CLUSTER_")):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"


@pytest.fixture
def ready(folder: Path) -> Path:
    """A folder after `init`, its node named n1."""
    folder.mkdir()
    (folder / "service.yaml").write_text("cluster: {peername: n1}\n")
    load_or_create(folder / "identity.json")
    return folder


def home(folder: Path) -> PeerId:
    return PeerId(json.loads((folder / "identity.json").read_text())["id"])


def run(folder: Path, *arguments: str) -> int:
    return main(["--config", str(folder), *arguments])


def lines(*pins: Pin) -> bytes:
    return b"".join(map(statefile.line, pins))


def pinset(folder: Path) -> bytes:
    return lines(*all_pins(folder / "pinset.sqlite"))


def test_a_pinset_goes_out_and_in(ready: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    content = lines(pin(1, home(ready)), pin(2), pin(3, name="x"))
    file = tmp_path / "state"
    file.write_bytes(content)
    assert run(ready, "state", "import", str(file)) == 0
    assert capfdbinary.readouterr() == (b"imported 3 pins\n", b"")
    assert run(ready, "state", "export") == 0
    assert capfdbinary.readouterr() == (content, b"")
    target = tmp_path / "out"
    target.write_text("old")
    assert run(ready, "state", "export", "-f", str(target)) == 0
    assert capfdbinary.readouterr().out == f"exported 3 pins: {target}\n".encode()
    assert target.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out", "state"]


UPSTREAM = Path(cluster_tests.__file__).parent / "upstream"


def test_what_ipfs_cluster_exported_goes_in_and_comes_out_byte_for_byte(ready: Path, tmp_path: Path) -> None:
    exported = UPSTREAM / "export.jsonl"
    (ready / "identity.json").write_bytes((UPSTREAM / "identity.json").read_bytes())
    assert run(ready, "state", "import", str(exported)) == 0
    assert run(ready, "state", "export", "-f", str(tmp_path / "out")) == 0
    assert sorted((tmp_path / "out").read_bytes().splitlines()) == sorted(exported.read_bytes().splitlines())


def test_allocations_of_several_old_peers_stay_when_their_identities_come_along(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = ", ".join(f"{{name: {name}, node_multiaddress: /unix/{name}}}" for name in ("one", "two"))
    (ready / "service.yaml").write_text(f"ipfs_connector: {{nodes: [{nodes}]}}\n")
    (ready / "identities").mkdir()
    old = tmp_path / "identity.json"
    second = load_or_create(old).id
    (ready / "identities" / "two.json").write_bytes(old.read_bytes())
    file = tmp_path / "state"
    file.write_bytes(lines(pin(1, home(ready)), pin(2, second)))
    assert run(ready, "state", "import", str(file)) == 0
    assert capsys.readouterr().out == "imported 2 pins\n", "no peer is unknown"


def test_export_beside_a_running_service(ready: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    import_pins(ready / "pinset.sqlite", [pin(1)], 0.0)
    lock = FolderLock(ready)
    assert run(ready, "state", "export") == 0
    assert capfdbinary.readouterr().out == lines(pin(1))
    assert run(ready, "state", "import", os.devnull) == 1
    assert b"one process per folder" in capfdbinary.readouterr().err
    lock.release()
    assert [path.name for path in ready.iterdir() if "export" in path.name] == []


def test_export_without_a_pinset(ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ready, "state", "export", "--file", str(tmp_path / "out")) == 1
    assert "there is no pinset" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_import_over_a_pinset_only_when_agreed(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_pins(ready / "pinset.sqlite", [pin(1)], 0.0)
    file = tmp_path / "state"
    file.write_bytes(lines(pin(2)))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run(ready, "state", "import", str(file)) == 1
    assert "The pinset of 1 pins will be replaced; it is kept beside. Go on? There is no" in capsys.readouterr().err
    terminal = io.StringIO("no\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    assert run(ready, "state", "import", str(file)) == 1
    assert capsys.readouterr().err.endswith("Go on? [y/N] ipfs-cluster-service: nothing was changed\n")
    assert pinset(ready) == lines(pin(1))
    assert run(ready, "state", "import", "-f", str(file)) == 0
    kept = ready / "pinset.sqlite.old.1"
    assert capsys.readouterr().out == f"imported 1 pins\nthe pinset before is kept: {kept}\n"
    assert pinset(ready) == lines(pin(2))
    assert lines(*all_pins(kept)) == lines(pin(1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lines(pin(2), pin(3))[:-9], "line 2: the input ends in the middle of the line: it is cut off"),
        (lines(pin(2), pin(3), pin(2)), "line 3: {cid} is in line 1 already"),
        (lines(pin(2)) + b'{"cid": "\\ud800"}\n', "line 2: cid: "),
        (lines(pin(2), pin(3)).replace(b'"name":""', b'"name":"\\udc80"'), "line 1: pin name is not valid Unicode"),
        (lines(pin(2)).replace(b'"name"', b'"nom"'), 'line 1: unknown field "nom"'),
        (b"", "the input is empty"),
    ],
)
def test_a_bad_import_changes_nothing(
    content: bytes, reason: str, ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_pins(ready / "pinset.sqlite", [pin(1)], 0.0)
    before = {path.name: path.read_bytes() for path in ready.iterdir()}
    file = tmp_path / "state"
    file.write_bytes(content)
    assert run(ready, "state", "import", "--force", str(file)) == 1
    error = capsys.readouterr().err
    shown = json.loads(lines(pin(2)))["cid"]
    assert error.startswith("ipfs-cluster-service: " + reason.replace("{cid}", shown))
    assert error.endswith(". Nothing was changed\n")
    left = {path.name: path.read_bytes() for path in ready.iterdir() if ".lock" not in path.name}
    assert left == {name: value for name, value in before.items() if ".lock" not in name}


def test_import_names_peers_that_are_unknown_and_puts_pins_elsewhere(
    ready: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = lines(pin(1, GONE, home(ready)), pin(2, GONE))

    def feed() -> None:
        stdin = io.TextIOWrapper(io.BytesIO(content))
        monkeypatch.setattr(sys, "stdin", stdin)

    feed()
    assert run(ready, "state", "import") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == f"2 pins are allocated to {GONE}, which is no peer of this service"
    assert said[2].startswith("copies on peers that are unknown here count as gone: ")
    feed()
    assert run(ready, "state", "import", "-f", "--rmin", "1", "--rmax", "1", "--allocs", "n1") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    found = list(all_pins(ready / "pinset.sqlite"))
    assert {(entry.allocations, entry.replication_min) for entry in found} == {((home(ready),), 1)}
    feed()
    assert run(ready, "state", "import", "-f", "--allocs", "n2") == 1
    assert capsys.readouterr().err == (
        f"ipfs-cluster-service: n2 is no peer of this service; there are: n1 ({home(ready)})\n"
    )


def test_there_is_no_crdt_to_look_after(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "state", "crdt", "dot", "--x") == 1
    assert capsys.readouterr().err.startswith("ipfs-cluster-service: state crdt: there is no CRDT here")


def test_cleanup_puts_the_pinset_away(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ready, "state", "cleanup") == 0
    assert capsys.readouterr().out == "there is no pinset: nothing to do\n"
    import_pins(ready / "pinset.sqlite", [pin(1)], 0.0)
    assert run(ready, "state", "cleanup", "-f") == 0
    assert capsys.readouterr().out.startswith(f"removed; the pinset before is kept: {ready}/pinset.sqlite.old.1\n")
    assert not (ready / "pinset.sqlite").exists()
    assert lines(*all_pins(ready / "pinset.sqlite.old.1")) == lines(pin(1))


def test_adopt_takes_what_the_node_held(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(ready, "state", "adopt") == 1
    assert "there is no pinset yet: start the service once" in capsys.readouterr().err

    async def survey(surveyed: bool) -> None:
        store = SqliteStore(ready / "pinset.sqlite", SystemClock())
        await store.open()
        await store.commit([PutPeer(PeerRecord(home(ready), "n1", surveyed=surveyed))])
        await store.commit([RecordForeign(home(ready), (node_pin(1, name="one"), node_pin(2)))])
        await store.close()

    asyncio.run(survey(False))
    assert run(ready, "state", "adopt") == 1
    assert "what the node of n1 holds is not known yet" in capsys.readouterr().err
    asyncio.run(survey(True))
    assert run(ready, "state", "adopt", "n1") == 0
    assert capsys.readouterr().out == "adopted 2 pins of n1, on that peer alone\n"
    found = {entry.cid: (entry.name, entry.allocations) for entry in all_pins(ready / "pinset.sqlite")}
    assert found == {cid(1): ("one", (home(ready),)), cid(2): ("", (home(ready),))}


def test_a_pinset_is_backed_up_and_restored(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    copy = tmp_path / "copy.sqlite"
    assert run(folder, "state", "backup", str(copy)) == 1
    assert "there is no pinset" in capsys.readouterr().err
    import_pins(folder / "pinset.sqlite", [pin(1), pin(2)], 0.0)
    assert run(folder, "state", "backup", str(copy)) == 0
    assert capsys.readouterr().out == f"backup of 2 pins, checked: {copy}\n"
    assert run(folder, "state", "restore", str(copy)) == 1
    assert "there is a pinset already" in capsys.readouterr().err
    assert run(folder, "state", "restore", "--force", str(copy)) == 0
    assert capsys.readouterr().out == (
        f"restored 2 pins from {copy}\nthe pinset before is kept: {folder}/pinset.sqlite.old.1\n"
    )
    lock = FolderLock(folder)
    assert run(folder, "state", "restore", "--force", str(copy)) == 1
    assert "one process per folder" in capsys.readouterr().err
    assert run(folder, "state", "backup", str(tmp_path / "second")) == 0
    lock.release()


def test_a_restore_needs_a_folder(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "state", "restore", str(tmp_path / "copy")) == 1
    assert f"{folder} does not exist" in capsys.readouterr().err
    assert not folder.exists()
