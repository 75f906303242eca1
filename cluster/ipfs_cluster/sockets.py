"""Unix sockets to listen on: what an ended process left is removed, what a running one listens on is not."""

from __future__ import annotations

import errno
import os
import socket
import stat

MODE = 0o660
"""Owner and group may connect."""


def claim(path: str) -> None:
    """Make way for a socket that will be bound at `path`. Raises OSError (EADDRINUSE) while somebody listens there or
    when something else than a socket lies there.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EADDRINUSE, f"{path} is there and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            release(path)
            return
        except OSError:
            pass  # a full backlog, or no permission: somebody's all the same
    raise OSError(errno.EADDRINUSE, f"somebody listens on {path}")


def release(path: str) -> None:
    """Remove the socket at `path`, if there is one."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        return
