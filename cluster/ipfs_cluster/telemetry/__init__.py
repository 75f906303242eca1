"""Metrics for Prometheus: tables that say how each is called, what it means and how it is read off a part.

Parts count in plain numbers (`ipfs_cluster.counters`); nothing here runs before somebody scrapes.
"""

from __future__ import annotations

from ipfs_cluster.telemetry.cluster import cluster_tables
from ipfs_cluster.telemetry.figures import FiguresCache
from ipfs_cluster.telemetry.meters import Kind, Meter, Readings, Table, counter, gauge, histogram
from ipfs_cluster.telemetry.scrape import Telemetry

__all__ = [
    "FiguresCache",
    "Kind",
    "Meter",
    "Readings",
    "Table",
    "Telemetry",
    "cluster_tables",
    "counter",
    "gauge",
    "histogram",
]
