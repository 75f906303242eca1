"""What the handlers find in the application."""

from __future__ import annotations

from aiohttp import web

from ipfs_cluster.engine import Cluster

CLUSTER = web.AppKey("cluster", Cluster)
VERSION = web.AppKey("version", str)
