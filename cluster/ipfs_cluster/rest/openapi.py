"""`GET /openapi.json`: the OpenAPI document of this API, `openapi.yaml` beside this module."""

from __future__ import annotations

import asyncio
import functools
import importlib.resources
import json
from typing import Any

import yaml
from aiohttp import web

from ipfs_cluster.rest.keys import VERSION


def document(version: str) -> dict[str, Any]:
    """The document. version: of the service."""
    text = importlib.resources.files(__package__).joinpath("openapi.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    found["info"]["version"] = version
    return found


@functools.cache
def _served(version: str) -> bytes:
    return json.dumps(document(version), separators=(",", ":")).encode() + b"\n"


async def openapi(request: web.Request) -> web.StreamResponse:
    """The route. Reading the document takes a thread's tenth of a second, once."""
    body = await asyncio.to_thread(_served, request.app[VERSION])
    return web.Response(body=body, content_type="application/json")
