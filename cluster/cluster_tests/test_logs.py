"""Log levels by ipfs-cluster's component names, and JSON lines."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
from collections.abc import Iterator

import pytest

from ipfs_cluster.logs import COMPONENTS, WITHOUT_LOGGER, Logs, parse_levels


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    Logs().configure()
    root.handlers[:], root.level = handlers, level


def shown(name: str, level: int) -> bool:
    return logging.getLogger(name).isEnabledFor(level)


def test_a_component_has_a_level_of_its_own() -> None:
    Logs("error,restapi:debug,pintracker:info")
    assert shown("ipfs_cluster.rest.server", logging.DEBUG)
    assert shown("ipfs_cluster.tracker", logging.INFO)
    assert not shown("ipfs_cluster.tracker", logging.DEBUG)
    assert not shown("ipfs_cluster.engine", logging.WARNING)
    assert shown("ipfs_cluster.engine", logging.ERROR)


def test_levels_change_and_nothing_of_the_old_stays() -> None:
    logs = Logs()
    logs.configure("info,cluster:debug")
    assert shown("ipfs_cluster.engine", logging.DEBUG)
    logs.configure("ipfs_cluster.engine:error")
    assert not shown("ipfs_cluster.engine", logging.WARNING)
    assert shown("ipfs_cluster.views", logging.WARNING)
    assert not shown("ipfs_cluster.views", logging.INFO)


def test_the_command_line_wins_over_the_configuration() -> None:
    logs = Logs("debug", "json")
    logs.configure("error", "text")
    assert shown("ipfs_cluster", logging.DEBUG)
    assert logs.as_json


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("loud", "'loud' is none of critical, error, warning, info, debug"),
        ("info,nosuch:debug", "there is no component 'nosuch'; there are cluster, service,"),
        ("cluster:loud", "'loud' is none of"),
    ],
)
def test_wrong_levels_are_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_levels(text)


def test_levels_of_ipfs_cluster_s_scripts_are_taken() -> None:
    every = ",".join(f"{name}:error" for name in (*COMPONENTS, *WITHOUT_LOGGER))
    assert parse_levels(f"NOTICE,{every}").general == logging.INFO
    assert parse_levels("").general == logging.WARNING


def test_every_component_leads_to_what_there_is() -> None:
    for name in {name for loggers in COMPONENTS.values() for name in loggers if name.startswith("ipfs_cluster")}:
        assert importlib.util.find_spec(name) is not None, name


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs = Logs("info", "json")
    try:
        raise ValueError("the reason\nin two lines")
    except ValueError:
        logging.getLogger("ipfs_cluster.x").exception("it %s", "failed")
    entry = json.loads(capsys.readouterr().err)
    assert (entry["level"], entry["logger"], entry["msg"]) == ("error", "ipfs_cluster.x", "it failed")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["ts"])
    assert re.fullmatch(r"test_logs\.py:\d+", entry["caller"])
    assert "in two lines" in entry["stacktrace"]
    said = json.loads(logs.line('ready "now"'))
    assert (said["level"], said["logger"], said["msg"]) == ("info", "service", 'ready "now"')
    assert Logs().line("as it is") == "as it is"
