"""The example dashboard and alert rules ask for metrics, labels and values that there are."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from ipfs_cluster.settings import parse
from ipfs_proxy.compose import compose

CONFIG = Path(__file__).resolve().parents[2] / "config"
OF_PROMETHEUS = {"instance", "job", "le"}
OF_THE_PROCESS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum")}


def dashboard() -> Any:
    return json.loads((CONFIG / "dashboard.json").read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((CONFIG / "alert-rules.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def targets() -> list[dict[str, Any]]:
    return [target for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def expressions() -> Iterator[str]:
    """All PromQL of the examples."""
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for target in targets())
    yield from re.findall(r"label_values\((\w+)", json.dumps(dashboard()))


class Known:
    """Names as in queries → labels; and the values that a label of a metric has when nothing has happened yet."""

    def __init__(self, folder: Path) -> None:
        self.labels: dict[str, set[str]] = {}
        self.values: dict[tuple[str, str], set[str]] = defaultdict(set)
        settings, _ = parse({}, {})
        for table in compose(folder, settings, {}, "0").telemetry.tables:
            for meter in table.meters:
                for suffix in SUFFIXES.get(meter.kind, ("",)):
                    self.labels[meter.name + suffix] = {*table.labels, *meter.labels}
            for family in table.families():
                for sample in family.samples:
                    for label, value in sample.labels.items():
                        self.values[sample.name, label].add(value)


@pytest.fixture
async def known(tmp_path: Path) -> Known:
    return Known(tmp_path)


async def test_every_metric_of_the_examples_exists(known: Known) -> None:
    asked = {name for text in expressions() for name in re.findall(r"\b(?:ipfscluster|process)_\w+|\bup\b", text)}
    assert len(asked) > 40
    assert asked - known.labels.keys() - OF_THE_PROCESS == set()


async def test_labels_and_values_that_are_selected_exist(known: Known) -> None:
    selected = 0
    for text in expressions():
        for name, selectors in re.findall(r"(\bipfscluster_\w+)\{([^}]*)\}", text):
            for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selectors):
                assert label in known.labels[name] | OF_PROMETHEUS, (name, label)
                selected += 1
                for one in value.split("|") if label in known.labels[name] else ():
                    there = known.values[name, label]
                    assert one in there or not there, (name, label, operator, one)
    assert selected > 50


async def test_labels_that_results_are_grouped_by_and_shown_with_exist(known: Known) -> None:
    shown = [(rule["expr"], json.dumps(rule["annotations"])) for rule in rules()]
    shown += [(target["expr"], target["legendFormat"]) for target in targets()]
    for expression, text in shown:
        names = [name for name in known.labels if re.search(rf"\b{name}\b", expression)]
        there = OF_PROMETHEUS.union(*(known.labels[name] for name in names))
        grouped = {label for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in group.split(", ")}
        written = set(re.findall(r"\$labels\.(\w+)|\{\{(\w+)\}\}", text))
        assert grouped <= there, expression
        labels = {one or other for one, other in written}
        assert labels <= there, expression
        if sums := re.match(r"(?:histogram_quantile\([\d.]+, )?sum(?: by \(([^)]*)\))? ?\(", expression):
            assert labels <= set((sums[1] or "").split(", ")), expression


def test_rules_are_complete() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_panels_do_not_lie_on_each_other() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
        assert max(one["x"] + one["w"], other["x"] + other["w"]) <= 24
