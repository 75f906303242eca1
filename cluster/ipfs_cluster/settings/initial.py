"""The configuration that `init` writes: the keys that people change."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ipfs_cluster.settings.loading import FILES, parse


def write_default(folder: Path, environ: Mapping[str, str], *, secret: str, force: bool = False) -> Path:
    """Write service.json with the values that people change. Raises FileExistsError unless forced."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    existing = next((folder / name for name in FILES if (folder / name).exists()), None)
    if existing is not None and not force:
        raise FileExistsError(str(existing))
    settings, _ = parse({}, environ)
    document = {
        "cluster": {
            "peername": settings.peername,
            "secret": secret,
            "replication_factor_min": settings["cluster.replication_factor_min"],
            "replication_factor_max": settings["cluster.replication_factor_max"],
            "disable_repinning": False,
        },
        "api": {
            "ipfsproxy": {"listen_multiaddress": list(settings["api.ipfsproxy.listen_multiaddress"])},
            "restapi": {"http_listen_multiaddress": list(settings["api.restapi.http_listen_multiaddress"])},
        },
        "ipfs_connector": {
            "nodes": [{"name": node.name, "node_multiaddress": node.address} for node in settings.nodes]
        },
    }
    path = folder / "service.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    return path
