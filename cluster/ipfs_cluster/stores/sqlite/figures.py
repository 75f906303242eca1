"""How much is in the file, counted: for metrics. Reads whole indexes, on a reading thread."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ipfs_cluster.ports import QueueFigures, StoreFigures
from ipfs_cluster.stores.sqlite.codec import STATUSES, PeerNumbers
from ipfs_cluster.stores.sqlite.queries import SHORT, SURPLUS
from ipfs_cluster.stores.sqlite.reads import moment


def figures(connection: sqlite3.Connection, peers: PeerNumbers, path: Path) -> StoreFigures:
    """Everything, from one moment; sizes are of the files as they are now."""
    run = connection.execute
    with moment(connection):
        (pins,) = run("SELECT count(*) FROM pins WHERE visible").fetchone()
        (revision,) = run("SELECT revision FROM state").fetchone()
        queues = run("SELECT peer, status, count(*), min(since) FROM work GROUP BY peer, status").fetchall()
        (short,) = run(f"SELECT count(*) FROM pins p INDEXED BY pins_short WHERE p.visible AND {SHORT}").fetchone()
        (surplus,) = run(
            f"SELECT count(*) FROM pins p INDEXED BY pins_surplus WHERE p.visible AND {SURPLUS}"
        ).fetchone()
        foreign = run("SELECT peer, orphan, count(*) FROM foreign_pins GROUP BY peer, orphan").fetchall()
    return StoreFigures(
        pins,
        revision,
        {(peers.peer(peer), STATUSES[status]): QueueFigures(rows, oldest) for peer, status, rows, oldest in queues},
        {peers.peer(peer): number for peer, orphan, number in foreign if not orphan},
        {peers.peer(peer): number for peer, orphan, number in foreign if orphan},
        short,
        surplus,
        _size(path),
        _size(path.with_name(path.name + "-wal")),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
