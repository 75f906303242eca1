"""What the handlers find in the application."""

from __future__ import annotations

from aiohttp import web

from ipfs_cluster.engine import Cluster

USER = web.RequestKey("user", str)
"""The name that a request's credentials proved."""
CLUSTER = web.AppKey("cluster", Cluster)
VERSION = web.AppKey("version", str)
