"""The table of a row's fate in `DESIGN.md` is the one in force."""

from __future__ import annotations

from pathlib import Path

from ipfs_cluster.core.transitions import TABLE, Event

DESIGN = Path(__file__).parents[2] / "DESIGN.md"


def documented() -> dict[tuple[str, str], str | None]:
    lines = iter(DESIGN.read_text(encoding="utf-8").splitlines())
    header = next(line for line in lines if line.strip().startswith("| a row that is"))
    _, *events = _cells(header)
    next(lines)
    table: dict[tuple[str, str], str | None] = {}
    for line in lines:
        if not line.strip():
            break
        status, *following = _cells(line)
        table |= {(status, event): None if to == "gone" else to for event, to in zip(events, following, strict=True)}
    return table


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def test_the_design_notes_show_the_table_in_force() -> None:
    assert documented() == {
        (status.value, event.value): None if to is None else to.value for (status, event), to in TABLE.items()
    }
    assert {event for _, event in documented()} == {event.value for event in Event}
