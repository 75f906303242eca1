"""Adding to several nodes at once: one request body, teed to the nodes that are to hold it."""

from __future__ import annotations

from ipfs_cluster.ingest.call import IngestCall
from ipfs_cluster.ingest.count import counted
from ipfs_cluster.ingest.ingest import Ingest, IngestSettings
from ipfs_cluster.ingest.model import Follower, IngestRefused, Line, Proof, Roots, Upload

__all__ = [
    "Follower",
    "Ingest",
    "IngestCall",
    "IngestRefused",
    "IngestSettings",
    "Line",
    "Proof",
    "Roots",
    "Upload",
    "counted",
]
