"""Hosts, credentials, TLS, and the commands that ask nobody."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import requests
import responses

from ipfs_cluster.ctl.main import main

LOGIN = "Basic " + base64.b64encode(b"me:se:cret").decode()


@pytest.mark.parametrize("way", ["flag", "environment", "file"])
def test_credentials_mean_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    (tmp_path / "login").write_text("me:se:cret\n")
    if way == "environment":
        monkeypatch.setenv("CLUSTER_CREDENTIALS", "me:se:cret")
    if way == "file":
        monkeypatch.setenv("CLUSTER_CREDENTIALS_FILE", str(tmp_path / "login"))
    flags = ["--basic-auth", "me:se:cret"] if way == "flag" else []
    with responses.RequestsMock() as api:
        for scheme in ("http", "https"):
            api.get(f"{scheme}://127.0.0.1:9094/version", json={"version": "1"})
        assert main([*flags, "version"]) == 0
        assert capsys.readouterr().err.startswith("TLS is used because there are credentials")
        assert main([*flags, "--force-http", "version"]) == 0
        assert [call.request.headers["Authorization"] for call in api.calls] == [LOGIN, LOGIN]
        assert [str(call.request.url)[:5] for call in api.calls] == ["https", "http:"]


@pytest.mark.parametrize("host", ["/unix/nowhere.sock", "/ip4/127.0.0.1/tcp/1/https", "https://127.0.0.1:1"])
def test_that_tls_is_used_is_said_where_it_was_not_asked_for(capsys: pytest.CaptureFixture[str], host: str) -> None:
    assert main(["--host", host, "--basic-auth", "me:secret", "version"]) == 1
    assert capsys.readouterr().err.startswith(f"error contacting the cluster at {host}: ")


def test_a_door_that_says_nothing_may_want_tls(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        door = threading.Thread(target=lambda: server.accept()[0].close())
        door.start()
        host = f"/ip4/127.0.0.1/tcp/{server.getsockname()[1]}"
        assert main(["--host", host, "version"]) == 1
        door.join()
    told = capsys.readouterr().err
    assert told.startswith(f"error contacting the cluster at {host}: ")
    assert told.endswith("; does it speak TLS (--https)?\n")


@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_token_instead_of_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    (tmp_path / "token").write_text("tok\n")
    if way == "environment":
        monkeypatch.setenv("CLUSTER_TOKEN", "tok")
    else:
        monkeypatch.setenv("CLUSTER_TOKEN_FILE", str(tmp_path / "token"))
    with responses.RequestsMock() as api:
        api.get("https://127.0.0.1:9094/version", json={"version": "1"})
        assert main(["version"]) == 0
        assert main(["--basic-auth", "me:se:cret", "version"]) == 0
        assert [call.request.headers["Authorization"] for call in api.calls] == ["Bearer tok", LOGIN]


def test_debug_and_a_secret_without_use(capsys: pytest.CaptureFixture[str]) -> None:
    with responses.RequestsMock() as api:
        api.get("https://127.0.0.1:9094/version", json={"version": "1"})
        assert main(["-s", "--no-check-certificate", "--secret", "00", "-d", "version"]) == 0
        assert api.calls[0].request.req_kwargs["verify"] is False  # type: ignore[attr-defined]
    assert capsys.readouterr().err.splitlines() == [
        "--secret is of no use here: the API is not reached over libp2p",
        "debug: GET https://127.0.0.1:9094/version: 200",
    ]


def test_a_certificate_that_is_not_believed(capsys: pytest.CaptureFixture[str]) -> None:
    with responses.RequestsMock() as api:
        api.get("https://127.0.0.1:9094/version", body=requests.exceptions.SSLError("self-signed certificate"))
        assert main(["--https", "version"]) == 1
    text = "error contacting the cluster at /ip4/127.0.0.1/tcp/9094: TLS: self-signed certificate\n"
    assert capsys.readouterr().err == text


def test_authorities_are_those_of_the_flag_else_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mine", "requests", "openssl"):
        (tmp_path / name).touch()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "openssl"))
    with responses.RequestsMock() as api:
        api.get("https://127.0.0.1:9094/version", json={"version": "1"})
        assert main(["--https", "version"]) == 0
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "requests"))
        assert main(["--https", "version"]) == 0
        assert main(["--https", "--cacert", str(tmp_path / "mine"), "version"]) == 0
        asked = [call.request.req_kwargs["verify"] for call in api.calls]  # type: ignore[attr-defined]
    assert asked == [str(tmp_path / name) for name in ("openssl", "requests", "mine")]
    capsys.readouterr()
    assert main(["--host", "https://127.0.0.1:1", "--cacert", "/nowhere", "version"]) == 1
    text = "error: Could not find a suitable TLS CA certificate bundle, invalid path: /nowhere\n"
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("text", ["-1", "nan", "1e400", "soon"])
def test_a_time_that_is_none(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--timeout", text, "version"])
    assert end.value.code == 1
    assert f"\nerror: argument --timeout/-t: {text} is no number of seconds\n" in capsys.readouterr().err


def test_a_file_of_credentials_that_is_no_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "login").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("CLUSTER_CREDENTIALS_FILE", str(tmp_path / "login"))
    assert main(["version"]) == 1
    assert capsys.readouterr().err == f"error reading {tmp_path}/login: it is no text\n"


def test_a_socket_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", f"/unix{tmp_path}/x.sock", "version"]) == 1
    assert capsys.readouterr().err.startswith(f"error contacting the cluster at /unix{tmp_path}/x.sock: ")


def test_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commands"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {"ipfs-cluster-ctl pin", "ipfs-cluster-ctl pin update", "ipfs-cluster-ctl ipfs gc"} <= set(shown)


@pytest.mark.parametrize(("shell", "word"), [("bash", "--rmin"), ("zsh", "bashcompinit"), ("fish", "-l rmin")])
def test_completion(capsys: pytest.CaptureFixture[str], shell: str, word: str) -> None:
    assert main(["completion", shell]) == 0
    assert word in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (["pi"], ["pin"]),
        (["pin", ""], ["add", "ls", "rm", "update"]),
        (["pin", "add", "--rep"], ["--replication", "--replication-max", "--replication-min"]),
        (["--enc", "json", "pin", "up"], ["update"]),
        (["--enc", ""], ["json", "text"]),
        (["pin", "add", "--mode", "d"], ["direct"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["add", ""], ["a file", "another"]),
        (["add", "--hidden", "a"], ["a file", "another"]),
        (["add", "a f"], ["a file"]),
    ],
)
def test_completions_of_bash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: list[str], offered: list[str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    for name in ("a file", "another"):
        (tmp_path / name).touch()
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out + (
        'COMP_WORDS=(ipfs-cluster-ctl "$@"); COMP_CWORD=$#; _ipfs_cluster_ctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script, "bash", *line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (sorted(done.stdout.splitlines()), done.stderr) == (offered, "")
