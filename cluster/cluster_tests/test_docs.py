"""The documentation says what the code does, where a program can compare the two."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipfs_cluster.core.transitions import TABLE
from ipfs_cluster.model import TrackerStatus
from ipfs_cluster.security.users import authorizations, basic_credentials
from ipfs_cluster.settings import EMBEDDED_KEYS, KEYS, MISSING, NODE_KEYS, Key, nodes, values

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/DESIGN.md"))]
KINDS: dict[Callable[[object], object], str] = {
    values.text: "string",
    values.secret: "64 hex digits",
    values.factor: "factor",
    values.positive_duration: "duration > 0",
    values.duration: "duration ≥ 0",
    values.header_bytes: "integer ≥ 4096",
    values.headers: "headers",
    values.header_names: "header names",
    values.methods: "methods",
    values.origins: "origins",
    values.log_levels: "levels",
    values.boolean: "boolean",
    values.positive: "integer > 0",
    values.addresses: "addresses",
    values.strings: "strings",
    values.metric_names: "strings",
    values.mapping: "map of strings",
    nodes: "nodes",
    values.natural: "integer ≥ 0",
    values.size: "size",
    basic_credentials: "users",
    authorizations: "authorizations",
}
CHOICES = {
    "log.format": "`text`, `json`",
    "api.ipfsproxy.wait": "`accepted`, `min`, `all`",
    "informer.disk.metric_type": "`freespace`, `reposize`",
    "ipfs_connector.ipfshttp.pin_method": "`pin`, `refs`",
}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def rows(text: str) -> Iterator[list[str]]:
    """The cells of all table rows that begin with a name in code."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def sections(text: str) -> dict[str, str]:
    """Heading → what stands below it."""
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in parts}


def bare(cell: str) -> str:
    return cell.strip("`")


def test_every_setting_is_documented_with_its_variable_and_type() -> None:
    documented = {
        f"{section}.{bare(row[0])}": (bare(row[1]), row[2])
        for section, text in sections(page("configuration.md")).items()
        for row in rows(text)
        if len(row) == 5
    }
    assert documented == {key.path: (key.env, kind(key)) for key in KEYS}


def kind(key: Key) -> str:
    return CHOICES.get(key.path) or KINDS[key.parse]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_the_documented_default_is_the_default(key: Key) -> None:
    text = sections(page("configuration.md"))[key.section]
    (default,) = [bare(row[3]) for row in rows(text) if len(row) == 5 and bare(row[0]) == key.name]
    if default == "none":
        assert key.default == ()
    else:
        assert key.parse(json.loads(default)) == key.default


def test_keys_that_sighup_changes_are_marked() -> None:
    marked = {
        f"{section}.{bare(row[0])}"
        for section, text in sections(page("configuration.md")).items()
        for row in rows(text)
        if len(row) == 5 and row[4].startswith("↻ ")
    }
    assert marked == {key.path for key in KEYS if key.reload}


def test_keys_of_nodes_and_refused_keys_are_documented() -> None:
    parts = sections(page("configuration.md"))
    own, embedded = parts["ipfs_connector"].split("\n### Embedded nodes\n")
    assert {bare(row[0]) for row in rows(own) if len(row) == 2} == NODE_KEYS
    assert {bare(row[0]) for row in rows(embedded) if len(row) == 2} == EMBEDDED_KEYS
    refused = {bare(row[0]): row[1] for row in rows(parts["Keys of ipfs-cluster"])}
    assert refused == dict(MISSING)


def test_every_status_is_explained() -> None:
    explained = {bare(name) for row in rows(sections(page("operations.md"))["States"]) for name in row[0].split(", ")}
    assert {status.value for status, _ in TABLE} <= explained
    assert explained == {status.value for status in TrackerStatus} - {"undefined", "sharded"}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *extras["test"], *extras["dev"]]
    distributions = {re.split(r"[\[<>=;~ ]", item)[0] for item in named} - {project["name"]}
    documented = [bare(row[0]) for row in rows(page("dependencies.md"))]
    assert sorted(documented) == sorted(distributions)


def test_the_test_command_is_the_one_of_ci() -> None:
    command = "python -m pip install -q -e '.[test]' && python -m pytest -q"
    for path in (".ci/run", "README.md", "docs/testing.md"):
        assert command in (ROOT / path).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
