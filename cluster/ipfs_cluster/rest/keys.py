"""What the handlers find in the application."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ipfs_cluster.engine import Cluster

USER = web.RequestKey("user", str)
"""The name that a request's credentials proved."""
CLUSTER = web.AppKey("cluster", Cluster)
LISTINGS = web.AppKey("listings", asyncio.Semaphore)
"""Whoever reads and spells out a page of a listing has one of its turns: a crowd of listings leaves the loop to others
after a page or two, and does not fill the store's queue."""
VERSION = web.AppKey("version", str)
