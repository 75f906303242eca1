"""`add` over a real socket: what is sent, answers read while it is sent, errors in trailers and on either side."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipfs_cluster.ctl.adding import NO_SHARDS, ONE_CAR, progress
from ipfs_cluster.ctl.main import main

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\nConnection: close\r\n\r\n"
CID = "QmccvEeJ1S95baJ6brLwNCKc6uq89vpVEoUGcEXc5FHhaX"
END = b"0\r\nX-Stream-Error: \r\n\r\n"


class Server:
    """One connection on a unix socket: `first` is answered on the request's head, `last` on its end."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "api.sock")
        self.first = HEAD
        self.last = END
        self.head = b""
        self.body = b""
        self.impatient = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._listener.settimeout(20)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(ConnectionError), self._listener, self._listener.accept()[0] as connection:
            connection.settimeout(20)
            while b"\r\n\r\n" not in self.body and (got := connection.recv(65536)):
                self.body += got
            self.head, _, self.body = self.body.partition(b"\r\n\r\n")
            connection.sendall(self.first)
            if not self.impatient:
                while not self.body.endswith(b"\r\n0\r\n\r\n") and (got := connection.recv(65536)):
                    self.body += got
                connection.sendall(self.last)

    def content(self) -> bytes:
        """The body, out of its chunks."""
        self.thread.join()
        rest, found = self.body, b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            found += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path)
    yield found
    found.thread.join()


def chunk(*values: object) -> bytes:
    data = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    return b"%x\r\n%b\r\n" % (len(data), data)


def added(name: str = "a") -> dict[str, object]:
    return {"name": name, "cid": CID, "bytes": 3, "size": 11}


def ctl(server: Server, *arguments: str) -> int:
    return main(["--host", f"/unix{server.path}", *arguments])


def test_a_folder_in_kubos_form(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "dir"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b ü").write_bytes(b"bbb")
    (folder / ".hidden").write_bytes(b"no")
    (folder / "z").symlink_to("sub")
    server.last = chunk({"name": "a", "cid": None, "bytes": 1}, added("dir/sub/b ü"), added("dir")) + END
    assert ctl(server, "add", "-r", "--rmin", "1", "--local", "--cid-version", "1", str(folder)) == 0
    boundary = server.head.partition(b"boundary=")[2].partition(b"\r\n")[0].decode()
    parts = [
        ("dir", "application/x-directory", ""),
        ("dir%2Fsub", "application/x-directory", ""),
        ("dir%2Fsub%2Fb+%C3%BC", "application/octet-stream", "bbb"),
        ("dir%2Fz", "application/symlink", "sub"),
    ]
    expected = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n{content}\r\n"
        for name, kind, content in parts
    )
    assert server.content().decode() == f"{expected}--{boundary}--\r\n"
    target = server.head.split(b" ")[1].decode()
    assert target == (
        "/add?replication-min=1&local=true&recursive=true&raw-leaves=true&format=unixfs&cid-version=1&hash=sha2-256"
        "&stream-channels=true"
    )
    assert capsys.readouterr().out == f"added {CID} dir/sub/b ü\nadded {CID} dir\n"


def test_answers_are_read_while_the_body_is_sent(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More answers than buffers hold come before the body is taken."""
    (tmp_path / "big").write_bytes(bytes(4_000_000))
    server.first = HEAD + chunk(*[added("x" * 500)] * 8000)
    assert ctl(server, "add", "-Q", str(tmp_path / "big")) == 0
    assert capsys.readouterr().out == f"{CID}\n"
    assert len(server.content()) > 4_000_000


def test_an_error_in_the_trailer(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    server.last = chunk(added()) + b"0\r\nX-Stream-Error: \r\nX-Stream-Error: no room\r\n\r\n"
    assert ctl(server, "add", "-q", str(tmp_path / "a")) == 2
    assert capsys.readouterr().out == f"{CID}\nAn error occurred:\n  Code: 500\n  Message: no room\n"


def test_an_answer_that_breaks_off(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    server.last = chunk(added())
    assert ctl(server, "add", "--no-stream", str(tmp_path / "a")) == 1
    assert capsys.readouterr() == ("", "error reading the answer: the connection was closed before its end\n")


def test_a_refusal_before_the_body_was_sent(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "big").write_bytes(bytes(8_000_000))
    refusal = b'{"code":401,"message":"unauthorized: access denied"}\n'
    server.impatient = True
    server.first = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%b" % (len(refusal), refusal)
    assert ctl(server, "add", str(tmp_path / "big")) == 2
    assert "Code: 401\n  Message: unauthorized: access denied" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "a").chmod(0)
    assert ctl(server, "add", str(tmp_path / "a")) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'a'}: Permission denied\n"


def test_a_thing_that_is_no_file(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert ctl(server, "add", str(tmp_path / "pipe")) == 1
    text = f"error reading {tmp_path / 'pipe'}: neither a file, nor a folder, nor a symbolic link\n"
    assert capsys.readouterr().err == text


def test_the_array_of_no_stream(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    server.last = chunk([added("a"), added("b")]) + END
    assert ctl(server, "--enc", "json", "add", "--no-stream", str(tmp_path / "a")) == 0
    assert json.loads(capsys.readouterr().out) == [added("a"), added("b")]
    assert b"stream-channels=false" in server.head


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--shard", "x"], f"error: {NO_SHARDS}\n"),
        (["--format", "car", "x", "y"], f"error: {ONE_CAR}\n"),
        (["--nocopy", "x"], "error: nocopy option is only valid for URLs\n"),
        (["/no/such/file"], "error reading /no/such/file: no such file or directory\n"),
        (["/tmp"], "error: /tmp is a directory, but Recursive option is not set\n"),
        (["-", "x"], "error: the standard input has no name: it cannot be added with others or in a folder\n"),
    ],
)
def test_what_is_refused_here(capsys: pytest.CaptureFixture[str], arguments: list[str], error: str) -> None:
    assert main(["add", *arguments]) == 1
    assert capsys.readouterr() == ("", error)


@pytest.mark.parametrize(("size", "told"), [(40, "20 B of 40 B 50%"), (None, "20 B")])
def test_progress(size: int | None, told: str) -> None:
    notes: list[str] = []
    times = iter([0.0, 0.05, 0.2, 0.2])
    now: Callable[[], float] = lambda: next(times)  # noqa: E731
    assert b"".join(progress([b"0123456789"] * 2, size, notes.append, now)) == b"0123456789" * 2
    assert notes == [told, ""]
