"""The configuration that `init` writes: the keys that people change."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ipfs_cluster.settings.loading import FILES, Settings, parse
from ipfs_cluster.settings.source import check_source

GRACE = "5s"
"""`repin_grace` of several embedded nodes."""
CHECK = "1s"
"""`check_interval` with them."""
PAUSE = "20s"
"""Their `restart_pause`: longer than GRACE and the copying, so that one which is killed can be seen to be missed."""
PAUSE_ALONE = "1s"
"""That of a single one, which nobody stands in for."""


@dataclass(frozen=True, slots=True)
class Written:
    """path: the new file. kept: what was there before, under its new name."""

    path: Path
    kept: Path | None


def existing(folder: Path) -> Path | None:
    """The folder's configuration, if there is one."""
    return next((folder / name for name in FILES if (folder / name).exists()), None)


def write_default(
    folder: Path,
    environ: Mapping[str, str],
    *,
    secret: str,
    force: bool = False,
    node: str = "",
    embedded: Sequence[int] = (),
    ports: tuple[int, int] | None = None,
    consensus: str = "",
) -> Written:
    """Write service.json with the values that people change. secret: unless the environment has one. node: address of
    the first IPFS node, in the place of what environment or default say. embedded: ports of embedded nodes, which are
    the only ones then. ports: of proxy and REST API. consensus: noted for scripts that look which one an ipfs-cluster
    was made for. Raises FileExistsError unless forced.
    """
    settings, _ = parse({}, environ)
    nodes: list[dict[str, Any]] = [{"name": node.name, "node_multiaddress": node.address} for node in settings.nodes]
    if node:
        nodes[0]["node_multiaddress"] = node
    if embedded:
        pause = PAUSE if len(embedded) > 1 else PAUSE_ALONE
        nodes = [_embedded(number, port, pause) for number, port in enumerate(embedded, 1)]
    low, high = _factors(len(embedded), settings)
    proxy, rest = settings["api.ipfsproxy.listen_multiaddress"], settings["api.restapi.http_listen_multiaddress"]
    if ports is not None:
        proxy, rest = ((f"/ip4/127.0.0.1/tcp/{port}",) for port in ports)
    document = {
        "cluster": {
            "peername": settings.peername,
            "secret": settings["cluster.secret"] or secret,
            "replication_factor_min": low,
            "replication_factor_max": high,
            "disable_repinning": False,
            # Nodes on one machine are not cut off from each other, so nothing speaks for waiting minutes.
            **({"repin_grace": GRACE} if len(embedded) > 1 else {}),
        },
        **({"consensus": {consensus: {}}} if consensus else {}),
        "api": {
            "ipfsproxy": {"listen_multiaddress": list(proxy)},
            "restapi": {"http_listen_multiaddress": list(rest)},
        },
        "ipfs_connector": {"nodes": nodes},
        # That one went is looked at in time for the short patience.
        **({"monitor": {"pubsubmon": {"check_interval": CHECK}}} if len(embedded) > 1 else {}),
    }
    return _write(folder, document, force=force)


def _embedded(number: int, port: int, pause: str) -> dict[str, Any]:
    name = f"node{number}"
    own = {"repo": f"nodes/{name}", "storage_max": "10GB", "gateways": [], "restart_pause": pause}
    return {"name": name, "node_multiaddress": f"/ip4/127.0.0.1/tcp/{port}", "embedded": own}


def _factors(number: int, settings: Settings) -> tuple[int, int]:
    """Two copies of everything where there are several embedded nodes, unless the environment says something else."""
    low, high = (settings[f"cluster.replication_factor_{end}"] for end in ("min", "max"))
    return (min(2, number - 1), 2) if number > 1 and low == high == -1 else (low, high)


def write_source(folder: Path, url: str, *, force: bool = False) -> Written:
    """Write a service.json that only says where the configuration is. Raises SettingsError, FileExistsError unless
    forced."""
    return _write(folder, {"source": check_source(url)}, force=force)


def write_peerstore(folder: Path, peers: Sequence[str]) -> Path:
    """Write the addresses of other services, one a line, as ipfs-cluster keeps them; an empty file without any."""
    path = folder / "peerstore"
    path.touch(0o600)
    path.write_text("".join(f"{peer}\n" for peer in peers), encoding="ascii")
    return path


def _write(folder: Path, document: object, *, force: bool) -> Written:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, kept = existing(folder), None
    if before is not None and not force:
        raise FileExistsError(str(before))
    path = folder / "service.json"
    draft = folder / "service.json.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    if before is not None:
        names = (before.with_name(f"{before.name}.old.{number}") for number in count(1))
        kept = next(name for name in names if not name.exists())
        before.rename(kept)
    draft.rename(path)
    return Written(path, kept)
