"""One service for each node, as far as one machine can tell: a name in Linux's abstract namespace of sockets.

Two services on one node would unpin each other's pins. A name is there as long as its process, however that ends; it
needs no file and no permission. Services on different machines, or in containers with networks of their own, do not
see each other's.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys

log = logging.getLogger(__name__)

_CREDENTIALS = struct.Struct("3i")


class NodeClaims:
    """The nodes that this process serves. Held until `release`."""

    def __init__(self, prefix: str = "ipfs-cluster-proxy/node/") -> None:
        self._prefix = prefix
        self._held: dict[str, socket.socket] = {}
        self._warned: set[str] = set()

    def claim(self, node: str) -> str:
        """Take a node by its ID; why that cannot be, or nothing. Never blocks."""
        if node in self._held or not sys.platform.startswith("linux"):
            return ""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        name = f"\0{self._prefix}{node}"
        try:
            sock.bind(name)
            sock.listen(8)
        except OSError:
            sock.close()
            return self._holder(node, name)
        self._held[node] = sock
        return ""

    def _holder(self, node: str, name: str) -> str:
        """Only a process of the same user, or root's, is believed: names are free for everybody to take."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(name)
                raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            except BlockingIOError:
                return f"node {node} is already served by another process on this machine"
            except OSError:
                return ""  # gone in this moment: the next ping asks again
        process, user, _ = _CREDENTIALS.unpack(raw)
        if user in (0, os.getuid()):
            return f"node {node} is already served by process {process}; a node can be a peer of one service only"
        if node not in self._warned:
            self._warned.add(node)
            log.warning("process %d of user %d says that it serves node %s too", process, user, node)
        return ""

    def release(self) -> None:
        """Let go of all."""
        for sock in self._held.values():
            sock.close()
        self._held.clear()
