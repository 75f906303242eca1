"""Credentials, TLS and what is written down, with real nodes and real clients."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.harness.http import Answer, file_part, multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import COMMAND, Service
from compat_tests.harness.tools import kubo_binary, tool
from ipfs_cluster.security.stored import hash_password, hash_token
from ipfs_cluster.testing.certificates import make_certificate
from ipfs_proxy.front.roles import ROLES

ADMIN = {"Authorization": "Bearer kubo-admin"}
AUTHORIZATIONS: dict[str, Any] = {
    "admin": {"AuthSecret": "bearer:kubo-admin", "AllowedPaths": ["/api/v0"]},
    "bare": {"AuthSecret": "bare-token", "AllowedPaths": ["/api/v0/pin/ls", "/api/v0/id"]},
    "ann": {"AuthSecret": "basic:ann:word:with:colons", "AllowedPaths": ["/api/v0/cat", "/api/v0/pin"]},
    "bob": {"AuthSecret": "basic:" + base64.b64encode(b"bob:word").decode(), "AllowedPaths": ["/api/v0/version"]},
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# --- as Kubo ---


@pytest.fixture(scope="module")
def guarded(
    kubo_factory: Callable[..., KuboNode], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[KuboNode, Service]]:
    """A Kubo with authorizations, and a service with the same ones before a node that asks nobody."""
    bare = kubo_factory({"API.Authorizations": AUTHORIZATIONS}, ADMIN)
    service = Service(
        tmp_path_factory.mktemp("guarded") / "service", [kubo_factory()], proxy={"authorizations": AUTHORIZATIONS}
    )
    service.start()
    yield bare, service
    service.stop()


REQUESTS = [
    ("POST", path, authorization)
    for path in (
        "/api/v0/version",
        "/api/v0/id",
        "/api/v0/idX",
        "/api/v0/pin/ls",
        "/api/v0/pin/ls/",
        "/api/v0/pin/lsX",
        "/api/v0/pin/ls?arg=nothing",
        "/api/v0/cat?arg=nothing",
        "/api/v0/nosuch",
        "/api/v0/version/x",
    )
    for authorization in (
        None,
        "",
        "Bearer kubo-admin",
        "Bearer bare-token",
        "Bearer wrong",
        "kubo-admin",
        basic("ann", "word:with:colons"),
        basic("ann", "word"),
        basic("bob", "word"),
    )
] + [
    ("GET", "/api/v0/id", None),
    ("GET", "/api/v0/id", "Bearer kubo-admin"),
    ("PUT", "/api/v0/pin/ls", "Bearer wrong"),
    ("OPTIONS", "/api/v0/id", None),
]


def comparable(answer: Answer) -> tuple[object, ...]:
    """What must be equal; what two nodes say of themselves is not."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("Date", "Content-Length")}
    body = b"of its own" if answer.status == 200 else answer.body
    return answer.status, headers, body


@pytest.mark.parametrize(("method", "path", "authorization"), REQUESTS)
def test_credentials_open_what_they_open_at_kubo(
    guarded: tuple[KuboNode, Service], method: str, path: str, authorization: str | None
) -> None:
    bare, service = guarded
    headers = {} if authorization is None else {"Authorization": authorization}
    kubos = post(bare.address, path, method=method, headers=headers)
    ours = post(service.address, path, method=method, headers=headers)
    assert comparable(ours) == comparable(kubos)
    if authorization == "Bearer wrong":
        assert ours.body == (
            b"Kubo RPC Access Denied: Please provide a valid authorization token as defined in the API.Authorizations "
            b"configuration.\n"
        )


def test_every_command_of_kubo_has_a_role(guarded: tuple[KuboNode, Service]) -> None:
    def leaves(command: dict[str, Any], above: str = "") -> Iterator[str]:
        for below in command["Subcommands"]:
            name = f"{above}{below['Name']}"
            if not below["Subcommands"]:
                yield name
            yield from leaves(below, f"{name}/")

    found = set(leaves(json.loads(guarded[0].rpc("commands").text)))
    assert len(found) > 150
    assert found - set(ROLES) == set()


def ipfs(service: Service, *arguments: str, secret: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The `ipfs` command through the proxy."""
    command = [str(kubo_binary()), "--api", service.multiaddr, *(["--api-auth", secret] if secret else []), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


def test_the_ipfs_command_with_api_auth(guarded: tuple[KuboNode, Service], tmp_path: Path) -> None:
    _, service = guarded
    path = tmp_path / "f"
    path.write_text("guarded\n")
    for secret in ("", "bearer:wrong", "basic:ann:wrong", "bearer:bare-token"):
        done = ipfs(service, "add", "-Q", str(path), secret=secret)
        assert done.returncode != 0
        assert "Kubo RPC Access Denied" in done.stderr
    cid = ipfs(service, "add", "-Q", str(path), secret="bearer:kubo-admin").stdout.strip()
    assert cid.startswith("Qm")
    assert ipfs(service, "cat", cid, secret="basic:ann:word:with:colons").stdout == "guarded\n"
    assert ipfs(service, "pin", "ls", cid, secret="bare-token").stdout == f"{cid} recursive\n"
    assert ipfs(service, "pin", "rm", cid, secret="basic:ann:word:with:colons").returncode == 0


# --- TLS, ctl, curl, and what is written down ---

CANARY = "CANARY"
CLUSTER_SECRET = "cafe" * 16


@pytest.fixture(scope="module")
def closed_node(kubo_factory: Callable[..., KuboNode]) -> KuboNode:
    """A node that asks for credentials itself."""
    authorizations = {"service": {"AuthSecret": f"bearer:{CANARY}-node", "AllowedPaths": ["/api/v0"]}}
    return kubo_factory({"API.Authorizations": authorizations}, {"Authorization": f"Bearer {CANARY}-node"})


@pytest.fixture
def secure(closed_node: KuboNode, tmp_path: Path) -> Iterator[Service]:
    """A service, not started, with TLS and users at both doors, which listen on all addresses; every secret has the
    canary in it.
    """
    service = Service(tmp_path / "service", [closed_node])
    make_certificate(service.folder)
    tls = {"ssl_cert_file": "cert.pem", "ssl_key_file": "key.pem"}
    node = {"name": "n0", "node_multiaddress": closed_node.multiaddr, "authorization": f"Bearer {CANARY}-node"}
    bot = {"AuthSecret": f"bearer:{hash_token(f'{CANARY}-token')}", "Roles": ["add", "pin", "read"]}
    eve = {"AuthSecret": f"basic:eve:{CANARY}-eve", "Roles": ["read"]}
    service.configure(
        cluster={"secret": CLUSTER_SECRET},
        api={"audit_log": "audit.log"},
        proxy={
            "listen_multiaddress": f"/ip4/0.0.0.0/tcp/{service.port}/https",
            "authorizations": {"bot": bot, "eve": eve},
            **tls,
        },
        rest={
            "http_listen_multiaddress": f"/ip4/0.0.0.0/tcp/{service.rest_port}",
            "basic_auth_credentials": {"ann": hash_password(f"{CANARY}-word", bytes(16))},
            "authorizations": {"eve": eve},
            "http_log_file": "http.log",
            **tls,
        },
        ipfs_connector={"nodes": [node]},
    )
    yield service
    service.stop()


def ctl(service: Service, *arguments: str, user: str = f"ann:{CANARY}-word") -> subprocess.CompletedProcess[str]:
    trusted = str(service.folder / "cert.pem")
    env = {"CLUSTER_CREDENTIALS": user, "SSL_CERT_FILE": trusted, "REQUESTS_CA_BUNDLE": ""}
    return service.ctl("--https", *arguments, env=env)


def curl(service: Service, port: int, path: str, *arguments: str) -> tuple[int, str]:
    """Status and body, over TLS with the certificate checked."""
    trusted = ["--cacert", str(service.folder / "cert.pem"), "-s", "-w", "\n%{http_code}"]
    command = [tool("curl"), *trusted, *arguments, f"https://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def written(service: Service) -> dict[str, str]:
    """All that the service tells anybody: its output, its logs, its listings, how it was started."""
    assert service.child is not None
    told = {name: (service.folder / name).read_text() for name in ("service.log", "http.log", "audit.log")}
    for path in ("/id", "/peers", "/pins", "/metrics", "/health/alerts", "/openapi.json"):
        told[path] = curl(service, service.rest_port, path, "-u", f"ann:{CANARY}-word")[1]
    told["command line"] = Path(f"/proc/{service.child.process.pid}/cmdline").read_text()
    return told


def test_both_doors_over_tls_and_no_secret_is_ever_told(secure: Service, closed_node: KuboNode, tmp_path: Path) -> None:
    secure.start(env={"IPFS_CLUSTER_LOG_LEVEL": "debug"})
    assert re.findall(r"^(.*): /ip4/0.0.0.0/tcp/\d+/https$", "\n".join(secure.start_lines()), re.MULTILINE) == [
        "IPFS proxy API",
        "REST API",
    ]
    headers = "-H", f"Authorization: Bearer {CANARY}-token"
    path = tmp_path / "f"
    path.write_text("over TLS\n")
    status, body = curl(secure, secure.port, f"/api/v0/add?api-auth={CANARY}", *headers, "-F", f"file=@{path}")
    assert status == 200, body
    cid = json.loads(body)["Hash"]
    assert cid in closed_node.pins()
    assert curl(secure, secure.port, f"/api/v0/cat?arg={cid}&api-auth={CANARY}", *headers, "-X", "POST") == (
        200,
        "over TLS\n",
    )
    assert curl(secure, secure.port, "/api/v0/repo/gc", *headers, "-X", "POST")[0] == 403
    assert (
        curl(secure, secure.port, "/api/v0/id", "-X", "POST", "-H", f"Authorization: Bearer {CANARY}-guess")[0] == 403
    )

    done = ctl(secure, "pin", "ls")
    assert cid in done.stdout, done.stderr
    assert ctl(secure, "pin", "rm", cid).returncode == 0
    for user, refusal in ((f"ann:{CANARY}-guess", "access denied"), (f"eve:{CANARY}-eve", "do not permit this")):
        done = ctl(secure, "pin", "add", cid, user=user)
        assert done.returncode != 0
        assert refusal in done.stdout
    token = json.loads(curl(secure, secure.rest_port, "/token", "-X", "POST", "-u", f"ann:{CANARY}-word")[1])["token"]
    assert curl(secure, secure.rest_port, "/id", "-H", f"Authorization: Bearer {token}")[0] == 200
    trusted = {"SSL_CERT_FILE": str(secure.folder / "cert.pem"), "REQUESTS_CA_BUNDLE": "", "CLUSTER_TOKEN": token}
    assert secure.ctl("version", env=trusted).returncode == 0
    assert (
        curl(secure, secure.rest_port, f"/pins/x?meta-a={CANARY}", "-X", "POST", "-u", f"ann:{CANARY}-word")[0] == 400
    )
    plain = subprocess.run([tool("curl"), "-s", f"http://127.0.0.1:{secure.port}/"], check=False, timeout=60)
    assert plain.returncode != 0

    audited = [json.loads(line) for line in (secure.folder / "audit.log").read_text().splitlines()]
    assert [(line["door"], line["user"], line["outcome"]) for line in audited] == [
        ("proxy", "bot", "ok"),
        ("proxy", "bot", "refused"),
        ("proxy", "", "refused"),
        ("rest", "ann", "ok"),
        ("rest", "", "refused"),
        ("rest", "eve", "refused"),
        ("rest", "ann", "refused"),
    ]
    told = written(secure)
    secure.stop()
    told["after the end"] = (secure.folder / "service.log").read_text()
    told["export"] = state(secure, "export")
    key = (secure.folder / "key.pem").read_text().splitlines()[1]
    private = json.loads((secure.folder / "identity.json").read_text())["private_key"]
    for name, text in told.items():
        assert text or name == "export", name
        for secret in (CANARY, CLUSTER_SECRET, key, private, token, hash_token(f"{CANARY}-token"), "scrypt$"):
            assert secret not in text, f"{name}: {secret}"


def state(service: Service, *arguments: str) -> str:
    command = [*COMMAND, "-c", str(service.folder), "state", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_what_the_service_makes_is_its_owners_alone(secure: Service) -> None:
    secure.start()
    modes = {path.name: path.stat().st_mode & 0o777 for path in secure.folder.iterdir()}
    made = {"pinset.sqlite", "identity.json", "audit.log", "http.log", "cluster.lock"}
    assert {name: oct(modes[name]) for name in made} == dict.fromkeys(made, "0o600")
    for name in made - {"http.log", "audit.log"}:
        (secure.folder / name).chmod(0o644)
    secure.stop()
    secure.start()
    assert (secure.folder / "pinset.sqlite").stat().st_mode & 0o777 == 0o600
    assert (secure.folder / "identity.json").stat().st_mode & 0o777 == 0o600
    assert "identity.json was open to others" in (secure.folder / "service.log").read_text()


def test_a_door_that_others_reach_without_credentials_does_not_open(trio: list[KuboNode], tmp_path: Path) -> None:
    service = Service(tmp_path / "service", trio[:1])
    service.configure(proxy={"listen_multiaddress": f"/ip4/0.0.0.0/tcp/{service.port}"})
    done = subprocess.run(
        [*COMMAND, "-c", str(service.folder), "daemon"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "listens beyond this machine without credentials; set api.ipfsproxy.authorizations, or " in done.stderr


def test_a_hangup_brings_other_users_and_a_new_certificate(secure: Service) -> None:
    secure.start()
    old = (secure.folder / "cert.pem").read_text()
    document = json.loads((secure.folder / "service.json").read_text())
    document["api"]["restapi"]["basic_auth_credentials"] = {"new": f"{CANARY}-new"}
    (secure.folder / "service.json").write_text(json.dumps(document))
    make_certificate(secure.folder)
    hangup(secure, "reload: api.restapi.basic_auth_credentials")
    assert curl(secure, secure.rest_port, "/id", "-u", f"new:{CANARY}-new")[0] == 200
    assert curl(secure, secure.rest_port, "/id", "-u", f"ann:{CANARY}-word")[0] == 401
    assert (
        curl(secure, secure.port, "/api/v0/id", "-X", "POST", "-H", f"Authorization: Bearer {CANARY}-token")[0] == 200
    )

    # A file that opens the door while it still listens on all addresses, and a certificate of another key.
    document["api"]["ipfsproxy"] |= {"authorizations": None, "listen_multiaddress": f"/ip4/127.0.0.1/tcp/{secure.port}"}
    (secure.folder / "service.json").write_text(json.dumps(document))
    hangup(secure, "reload: nothing was changed: api.ipfsproxy.listen_multiaddress")
    assert curl(secure, secure.port, "/api/v0/id", "-X", "POST")[0] == 403
    (secure.folder / "cert.pem").write_text(old)
    document["api"]["ipfsproxy"]["authorizations"] = {"a": {"AuthSecret": "x", "Roles": ["admin"]}}
    (secure.folder / "service.json").write_text(json.dumps(document))
    hangup(secure, "reload: nothing was changed: the TLS certificate")
    assert CANARY not in (secure.folder / "service.log").read_text()


def hangup(service: Service, line: str) -> None:
    """SIGHUP, until the service has said this."""
    assert service.child is not None
    child, said = service.child, service.child.output().count("reload: ")
    child.send(signal.SIGHUP)
    eventually(lambda: child.output().count("reload: ") > said, "the service has read its configuration")
    told = child.output().splitlines()
    assert any(line in one for one in told), told[-5:]


def test_a_node_that_speaks_tls_and_asks_for_credentials(secure: Service, tmp_path: Path) -> None:
    """The node is another service: requests of the engine and relayed ones go to it over TLS, with a token."""
    token = f"{CANARY}-outer"
    secure_document = json.loads((secure.folder / "service.json").read_text())
    secure_document["api"]["ipfsproxy"]["authorizations"] = {"outer": {"AuthSecret": token, "Roles": ["admin"]}}
    (secure.folder / "service.json").write_text(json.dumps(secure_document))
    secure.start()
    outer = Service(tmp_path / "outer", secure.nodes)
    node = {
        "name": "inner",
        "node_multiaddress": f"/ip4/127.0.0.1/tcp/{secure.port}/https",
        "ca_file": str(secure.folder / "cert.pem"),
        "authorization": f"Bearer {token}",
    }
    outer.configure(ipfs_connector={"nodes": [node]})
    outer.start()
    try:
        headers, body = multipart(file_part("f", b"over two services\n"))
        answer = post(outer.address, "/api/v0/add", headers=headers, body=body)
        assert answer.status == 200, answer.text
        cid = json.loads(answer.text)["Hash"]
        assert post(outer.address, f"/api/v0/cat?arg={cid}").body == b"over two services\n"
        large = os.urandom(3_000_000)
        headers, body = multipart(file_part("f", large))
        (value,) = [json.loads(post(outer.address, "/api/v0/add", headers=headers, body=body).text)]
        assert post(outer.address, f"/api/v0/cat?arg={value['Hash']}").body == large
        assert outer.pinned_everywhere(cid)
        assert cid in outer.nodes[0].pins()
    finally:
        outer.stop()
    (outer.folder / "service.json").write_text(
        (outer.folder / "service.json").read_text().replace("cert.pem", "other.pem")
    )
    make_certificate(tmp_path / "other")
    (tmp_path / "other" / "cert.pem").rename(secure.folder / "other.pem")
    outer.start()
    assert outer.child is not None
    assert "CERTIFICATE_VERIFY_FAILED" in outer.child.output()
    outer.stop()
