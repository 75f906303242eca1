"""What can go wrong in ipfs-cluster-ctl, by exit status."""

from __future__ import annotations


class ApiError(Exception):
    """The API answered with an error: exit status 2."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalError(Exception):
    """Something here is wrong: exit status 1. doing: what was tried, as in "error <doing>: <text>"."""

    def __init__(self, doing: str, message: str) -> None:
        super().__init__(message)
        self.doing = doing

    def __str__(self) -> str:
        return f"error {self.doing}: {self.args[0]}" if self.doing else f"error: {self.args[0]}"
