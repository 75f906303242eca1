"""The files of config/deploy agree with the code: flags, variables, ports, folders. No engine runs them here."""

from __future__ import annotations

import re
import shlex
import tomllib
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import yaml

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.rest.roles import is_open
from ipfs_cluster.settings import KEYS, parse
from ipfs_proxy.daemon import GRACE
from ipfs_proxy.service import parser

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "config" / "deploy"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEFAULTS, _ = parse({}, {})
PORTS = {
    parse_address(address).port
    for key in ("api.ipfsproxy.listen_multiaddress", "api.restapi.http_listen_multiaddress")
    for address in DEFAULTS[key]
}


def instructions(name: str) -> list[list[str]]:
    """The words of each instruction of a container file."""
    text = (DEPLOY / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def exec_form(words: list[str]) -> list[str]:
    found: list[str] = yaml.safe_load(" ".join(words[words.index(next(w for w in words if w.startswith("["))) :]))
    return found


def test_the_container_runs_what_is_installed_with_flags_that_exist() -> None:
    found = {words[0]: words for words in instructions("Containerfile")}
    (program,) = exec_form(found["ENTRYPOINT"])
    assert program in PROJECT["scripts"]
    assert parser().parse_args(exec_form(found["CMD"])).init
    check = exec_form(found["HEALTHCHECK"])
    assert check[:2] == ["python", "-c"]
    asked = re.search(r"http://127\.0\.0\.1:([0-9]+)(/[a-z]+)'", check[2])
    assert asked is not None
    assert int(asked[1]) == parse_address(DEFAULTS["api.restapi.http_listen_multiaddress"][0]).port
    assert is_open("GET", asked[2])
    compile(check[2], "HEALTHCHECK", "exec")
    assert {int(port) for port in found["EXPOSE"][1:]} == PORTS
    data = dict(word.split("=", 1) for word in found["ENV"][1:])["IPFS_CLUSTER_PATH"]
    assert data.startswith(found["VOLUME"][1] + "/")
    assert found["USER"] == ["USER", "cluster"]


def test_the_container_is_built_from_what_is_there() -> None:
    lines = instructions("Containerfile")
    copied = [word for words in lines if words[0] == "COPY" and "--from" not in words[1] for word in words[1:-1]]
    assert [path for path in copied if not (ROOT / path).exists()] == []
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= set(copied)
    assert {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml"} <= set(copied)
    versions = {match for words in lines for match in re.findall(r"python:([0-9.]+)-slim", " ".join(words))}
    assert len(versions) == 1
    assert f"Programming Language :: Python :: {versions.pop()}" in PROJECT["classifiers"]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_the_composed_service_knows_its_nodes_and_is_published_on_this_machine_only() -> None:
    services = compose()["services"]
    cluster = services.pop("cluster")
    environ = {str(name): str(value) for name, value in cluster["environment"].items()}
    assert set(environ) <= {key.env for key in KEYS}
    settings, warnings = parse({}, environ)
    assert warnings == []
    nodes = {node.name: parse_address(node.address) for node in settings.nodes}
    assert {name: (address.host, address.port) for name, address in nodes.items()} == {
        name: (name, 5001) for name in services
    }
    assert settings.nodes[0].name == settings.peername
    assert settings["cluster.replication_factor_max"] <= len(nodes)
    assert sorted(cluster["depends_on"]) == sorted(services)
    assert {tuple(port.split(":")) for port in cluster["ports"]} == {
        ("127.0.0.1", str(port), str(port)) for port in PORTS
    }
    assert cluster["stop_grace_period"] == "30s"
    assert GRACE < 30
    assert (DEPLOY / cluster["build"]["context"]).resolve() == ROOT
    assert (ROOT / cluster["build"]["dockerfile"]).exists()


def test_the_composed_nodes_are_of_the_tested_version_and_collect_nothing_by_themselves() -> None:
    found = compose()
    services = found["services"]
    del services["cluster"]
    tested = re.search(r"`ipfs` command of Kubo \| ([0-9.]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert tested is not None
    for name, service in services.items():
        assert service["image"] == f"docker.io/ipfs/kubo:v{tested[1]}"
        assert "--enable-gc" not in service["command"]
        assert service["volumes"] == [f"{name}:/data/ipfs"]
        assert not [port for port in service.get("ports", []) if "5001" in port]
    assert set(found["volumes"]) == {*services, "cluster"}


def test_the_unit_starts_reloads_and_stops_the_command() -> None:
    unit = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "ipfs-cluster.service").read_text(encoding="utf-8"))
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name in PROJECT["scripts"]
    assert parser().parse_args(arguments).command == "daemon"
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["TimeoutStopSec"]) > GRACE
    environ = dict(word.split("=", 1) for word in service["Environment"].split())
    assert environ["IPFS_CLUSTER_PATH"] == f"/var/lib/{service['StateDirectory']}"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["ProtectSystem"] == "strict"
    families = set(service["RestrictAddressFamilies"].split())
    assert families == {"AF_UNIX", "AF_INET", "AF_INET6"}


def test_every_file_is_told_of_in_the_documentation() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [path.name for path in DEPLOY.iterdir() if f"config/deploy/{path.name}" not in text] == []
