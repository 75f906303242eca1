"""What can go wrong in ipfs-cluster-ctl beside the client's errors."""

from __future__ import annotations


class LocalError(Exception):
    """Something here is wrong: exit status 1. doing: what was tried, as in "error <doing>: <text>"."""

    def __init__(self, doing: str, message: str) -> None:
        super().__init__(message)
        self.doing = doing

    def __str__(self) -> str:
        return f"error {self.doing}: {self.args[0]}" if self.doing else f"error: {self.args[0]}"
