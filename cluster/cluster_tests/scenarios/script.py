"""Scenario files: commands, and below each the steps that it led to.

    # A comment.

    cluster peers=3 min=2 max=2
    pin A name=first
    ----
    store: PutPin A name=first on n1 n2, queue n1 n2
    …

Several commands may share a block. `----` begins what is expected; a blank line ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
RULE = "----"


@dataclass(frozen=True)
class Block:
    """head: comments and blank lines before it, and its commands, as they stand in the file."""

    head: tuple[str, ...]
    expected: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        return [line for line in self.head if line and not line.startswith("#")]


def parse(text: str) -> list[Block]:
    """The blocks of a file. Raises ValueError for commands without an expectation."""
    blocks: list[Block] = []
    head: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line != RULE:
            head.append(line)
            continue
        expected = []
        for answer in lines:
            if not answer:
                break
            expected.append(answer)
        blocks.append(Block(tuple(head), tuple(expected)))
        head = []
    if any(head):
        raise ValueError(f"nothing is expected of {head}")
    return blocks


def text(blocks: list[Block]) -> str:
    """The file of these blocks."""
    return "\n\n".join("\n".join([*block.head, RULE, *block.expected]) for block in blocks) + "\n"


def scenarios() -> list[Path]:
    """All files, by name."""
    return sorted(FOLDER.glob("*.txt"))
