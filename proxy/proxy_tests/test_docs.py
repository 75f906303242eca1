"""docs/compatibility.md lists exactly the commands that the service intercepts."""

from __future__ import annotations

import re
from pathlib import Path

from ipfs_cluster.settings import parse
from ipfs_proxy.compose import compose

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"


async def test_every_intercepted_command_is_documented_and_no_other(tmp_path: Path) -> None:
    settings, _ = parse({}, {})
    service = compose(tmp_path, settings, {}, "0")
    section = PAGE.read_text(encoding="utf-8").split("## Intercepted commands", 1)[1].split("\n## ", 1)[0]
    documented = re.findall(r"^\| `([^`]+)` \|", section, flags=re.MULTILINE)
    assert sorted(documented) == sorted(service.front._commands)  # nothing but the front needs the table
