"""`daemon --init`: which IPFS node a service is for that is started for the first time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.errors import NodeError, NodeUnreachable
from ipfs_cluster.nodes.http import Endpoint, HttpTransport
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_cluster.settings import parse, write_default
from ipfs_cluster.settings.ipfs import NODE_ADDRESS
from ipfs_proxy.console import say
from ipfs_proxy.initialise import NAMED, check_unnamed, ports_for, tell_written

ASKING = 3.0


def first_start(
    folder: Path, environ: Mapping[str, str], embedded: int | None = None, *, asking: float = ASKING
) -> None:
    """Write a configuration with the IPFS daemon that answers at its usual address, else with one embedded node, unless
    Kubo is used here and is only down now. embedded: so many embedded nodes instead; 0: none, wait for a daemon.
    asking: seconds that a daemon may take to say who it is.

    The choice is written down, and never made again. Raises Failure, SettingsError, IdentityError, OSError.
    """
    parse({}, environ)
    choice = _chosen(folder, environ, embedded, asking)
    ports = ports_for(choice.embedded)
    written = write_default(folder, environ, secret=secrets.token_hex(32), node=choice.address, embedded=ports)
    tell_written(folder, written, environ)
    if choice.told:
        say(choice.told)


@dataclass(frozen=True, slots=True)
class _Choice:
    """address: of a daemon, empty for what environment and defaults say. embedded: how many nodes instead of it."""

    told: str
    address: str = ""
    embedded: int = 0


def _chosen(folder: Path, environ: Mapping[str, str], embedded: int | None, asking: float) -> _Choice:
    if embedded:
        check_unnamed(environ)
        return _Choice(f"IPFS nodes: {embedded} of the service's own, in {folder / 'nodes'}", embedded=embedded)
    if environ.keys() & NAMED:
        return _Choice("")
    tried: list[str] = []
    for address in _usual_addresses(environ):
        if (found := asyncio.run(_who(address, asking))) is not None:
            return _Choice(f"IPFS node: {found} at {address}; written down", address)
        tried.append(address)
    nobody, repository = f"IPFS node: no daemon answers at {', '.join(tried)}", _repository(environ)
    waiting = f"{tried[-1]} is written down. Start one there, or name another in ipfs_connector.nodes"
    if embedded == 0:
        return _Choice(f"{nobody}; {waiting}")
    if (repository / "config").exists():
        # With an empty node in the daemon's place, all that it holds would seem to be gone.
        return _Choice(f"{nobody}, whose repository is in {repository}; {waiting}")
    return _Choice(f"{nobody}, so the service runs a node of its own, in {folder / 'nodes'}", embedded=1)


def _repository(environ: Mapping[str, str]) -> Path:
    return Path(environ["IPFS_PATH"]) if environ.get("IPFS_PATH") else Path.home() / ".ipfs"


def _usual_addresses(environ: Mapping[str, str]) -> Iterator[str]:
    """Where the user's daemon says that it listens, and where daemons listen unless told otherwise."""
    (usual,) = NODE_ADDRESS.default
    try:
        said = (_repository(environ) / "api").read_text(encoding="utf-8").strip()
        if not parse_address(said).tls and said != usual:
            yield said
    except (OSError, ValueError):
        pass
    yield usual


async def _who(address: str, asking: float) -> str | None:
    """Who answers there; None when nobody does who speaks a daemon's API."""
    where = parse_address(address)
    node = KuboNode(HttpTransport(Endpoint(where.host, where.port, where.unix)))
    try:
        async with asyncio.timeout(asking):
            return f"{(await node.info()).agent_version or 'a daemon'} answers"
    except TimeoutError:
        return f"what listens does not answer within {asking:g} s"
    except NodeUnreachable:
        return None
    except NodeError as error:
        return f"a daemon refuses ({error})" if error.status in (401, 403) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        await node.close()
