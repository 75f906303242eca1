"""A benchmark's numbers against what is promised: printed, as JSON, and in RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


@dataclass(frozen=True)
class Row:
    """One measured number. must, goal: like ">= 0.75" or "< 50"; empty for a number that only explains."""

    work: str
    beside: str
    value: float
    unit: str = "×"
    must: str = ""
    goal: str = ""

    def met(self, bound: str) -> bool:
        """Does the value keep to the bound?"""
        sign, _, limit = bound.partition(" ")
        number = float(limit)
        return {
            ">=": self.value >= number,
            "<=": self.value <= number,
            "<": self.value < number,
        }[sign]

    @property
    def verdict(self) -> str:
        """goal, must, MISSED, or nothing without bounds."""
        if self.goal and self.met(self.goal) and (not self.must or self.met(self.must)):
            return "goal"
        if not self.must:
            return "" if not self.goal else "not the goal"
        return "must" if self.met(self.must) else "MISSED"

    def cells(self) -> list[str]:
        """The row of the table."""
        number = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        return [self.work, self.beside or "–", f"{number} {self.unit}", self.must, self.goal, self.verdict]


HEADINGS = ["work", "beside", "measured", "must", "goal", "met"]


def report(module: str, document: str | None, rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Print the table and one line of JSON; with --save replace the module's block in RESULTS.md."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    name = module.rpartition(".")[2] if module != "__main__" else Path(sys.argv[0]).stem
    facts = {
        "benchmark": name,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
        "machine": _machine(),
        "rounds": options.rounds,
        "quick": options.quick,
    }
    print(json.dumps({**facts, "rows": [{**asdict(row), "met": row.verdict} for row in rows]}, ensure_ascii=False))
    if options.save:
        made = f"{facts['date']}, commit {facts['commit']}, {facts['rounds']} rounds"
        made += ", a quick run" if options.quick else ""
        table = [f"| {' | '.join(line)} |" for line in cells]
        table.insert(1, "|---" * len(HEADINGS) + "|")
        _save(name, f"{(document or '').strip()}\n\n" + "\n".join(table) + f"\n\n{made}; {facts['machine']}.")


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+changes" if git("diff", "HEAD", "--", "proxy", "cluster") else "")


def _machine() -> str:
    kernel = re.match(r"[\d.]+", platform.release())
    system = f"{platform.system()} {kernel[0] if kernel else '?'}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def _save(name: str, block: str) -> None:
    text = RESULTS.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->\n"
    if begin not in text:
        text = f"{text.rstrip()}\n\n## {name}\n\n{begin}{end}"
    before, _, rest = text.partition(begin)
    RESULTS.write_text(f"{before}{begin}{block}{end}{rest.partition(end)[2]}", encoding="utf-8")
