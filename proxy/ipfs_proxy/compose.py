"""Building the object graph of a service from its settings. The only module that names concrete nodes and, beside
`state`, concrete stores.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ipfs_cluster import Cluster, EngineSettings, IngestSettings, PeerSettings, PeerSpec, SystemClock, Wait
from ipfs_cluster.addresses import parse_address
from ipfs_cluster.attempt import PinMethod, TrackerSettings
from ipfs_cluster.core.membership import Patience
from ipfs_cluster.core.room import RoomRule
from ipfs_cluster.hops import HOPS
from ipfs_cluster.identity import load_or_create
from ipfs_cluster.model import PeerId
from ipfs_cluster.monitor import MonitorSettings
from ipfs_cluster.nodes.http import Endpoint, HttpTransport
from ipfs_cluster.nodes.kubo import KuboNode
from ipfs_cluster.planning import Defaults
from ipfs_cluster.ports import Clock, PeerRecord, Store
from ipfs_cluster.rest.app import app
from ipfs_cluster.rest.audit import add_audit
from ipfs_cluster.rest.cors import Cors
from ipfs_cluster.rest.guard import add_guard
from ipfs_cluster.rest.http import HttpRules
from ipfs_cluster.rest.metrics import add_metrics
from ipfs_cluster.rest.server import RestServer, RestSettings
from ipfs_cluster.security.tls import client_tls
from ipfs_cluster.settings import KEYS, Node, Settings
from ipfs_cluster.stores.sqlite import SqliteStore
from ipfs_cluster.telemetry import FiguresCache, Table, Telemetry, cluster_tables
from ipfs_cluster.upkeep import MoveSettings, PresenceSettings, RepairSettings, UpkeepSettings
from ipfs_proxy.front.server import Limits, Listen, Server
from ipfs_proxy.front.upstream import Upstream
from ipfs_proxy.meters import FRONT
from ipfs_proxy.nodeclaim import NodeClaims
from ipfs_proxy.rpc.add import add_command
from ipfs_proxy.rpc.dag import adding_commands
from ipfs_proxy.rpc.pin import pin_commands
from ipfs_proxy.rpc.repo import repo_commands
from ipfs_proxy.security import Security
from ipfs_proxy.supervise import Keeper, NodeCommand, Supervisor

log = logging.getLogger(__name__)

STORE_FILE = "pinset.sqlite"


@dataclass(slots=True)
class Service:
    """A composed service: its own nodes, engine, doors. `start` in this order, `close` in the other. settings: those in
    force.
    """

    folder: Path
    settings: Settings
    nodes: Supervisor
    cluster: Cluster
    front: Server
    rest: RestServer
    telemetry: Telemetry
    claims: NodeClaims
    security: Security

    async def start(self) -> None:
        """Engine before doors: these never answer before the store is open. Raises OSError, StoreUnusable."""
        await self.nodes.start()
        await self.cluster.start()
        self.nodes.on_end(self._node_ended)
        self.front.server_header = self._server_header()
        await self.front.start()
        await self.rest.start()

    def reload(self, settings: Settings) -> None:
        """Go on with these, which differ in what can change while the service runs (`settings.changes`). Raises
        SettingsError, and OSError when a file cannot be opened; then nothing has changed.
        """
        self.security.check(self.folder, settings)
        self.rest.reload(_rest(self.folder, settings))
        self.security.apply(self.folder, settings)
        self.nodes.reconfigure({node.name: node.embedded.restart_pause for node in settings.nodes if node.embedded})
        self.front.reconfigure(settings["api.ipfsproxy.allowed_origins"], _limits(settings))
        specs = [
            replace(_peer(peer.id, node, self.cluster.home.id, settings, self.nodes), node=peer.node)
            for peer, node in zip(self.cluster.peers_by_id.values(), settings.nodes, strict=True)
        ]
        self.cluster.reconfigure(_engine(self.folder, settings), specs)
        self.settings = settings

    def _node_ended(self, name: str, reason: str) -> None:
        """An embedded node's process is gone: its peer knows before the next ping."""
        for peer in self.cluster.peers_by_id.values():
            if peer.name == name:
                peer.monitor.suspect(reason)

    def _server_header(self) -> str:
        info = self.cluster.home.state.info
        return info.agent_version if info is not None and info.agent_version else "kubo"

    async def close(self, grace: float) -> None:
        """Doors first, within `grace` seconds, then the engine. Who waits for nodes is told at once."""
        self.cluster.end_waiting()
        await self.front.close(grace)
        await self.rest.close()
        self.security.close()
        await self.telemetry.close()
        await self.cluster.close()
        await self.nodes.close()
        self.claims.release()


def compose(
    folder: Path,
    settings: Settings,
    environ: Mapping[str, str],
    version: str,
    node_log: tuple[str, str] = ("", ""),
) -> Service:
    """The service of a data folder; nothing is started. node_log: level and format of its embedded nodes' logs. Raises
    IdentityError, TlsError, OSError.
    """
    clock = SystemClock()
    peers = identities(folder, settings, environ)
    nodes = _supervisor(folder, settings, environ, node_log)
    both = zip(peers, settings.nodes, strict=True)
    specs = [_peer(record.id, node, peers[0].id, settings, nodes) for record, node in both]
    store = SqliteStore(folder / STORE_FILE, clock)
    claims = NodeClaims()
    cluster = Cluster(specs, store, clock, _engine(folder, settings), claims.claim)

    def server_header() -> str:
        return front.server_header

    commands = {
        **pin_commands(cluster, server_header, indirect=settings["api.ipfsproxy.indirect_pins"], tick=clock.sleep),
        "add": add_command(cluster, server_header),
        **adding_commands(cluster, server_header),
        **repo_commands(cluster, server_header),
    }
    security = Security.of(folder, settings)
    front = Server(
        [_listen(text) for text in settings["api.ipfsproxy.listen_multiaddress"]],
        _upstream(settings.nodes[0]),
        commands,
        service=cluster.home.id,
        services=lambda: cluster.services,
        origins=settings["api.ipfsproxy.allowed_origins"],
        tls=security.proxy.tls,
        gatekeeper=security.proxy.gatekeeper,
        audit=security.audit,
        limits=_limits(settings),
    )
    rest_settings = _rest(folder, settings)
    rest = app(cluster, version, rest_settings.rules)
    telemetry = telemetry_of(front, cluster, store, clock)
    add_metrics(rest, telemetry)
    add_guard(rest, security.rest.gatekeeper)
    add_audit(rest, security.audit)
    door = RestServer(rest, rest_settings, tls=security.rest.tls)
    return Service(folder, settings, nodes, cluster, front, door, telemetry, claims, security)


def _limits(settings: Settings) -> Limits:
    return Limits(
        head_time=settings["api.ipfsproxy.read_header_timeout"], idle_time=settings["api.ipfsproxy.idle_timeout"]
    )


def _rest(folder: Path, settings: Settings) -> RestSettings:
    rest = {key.name: settings[key.path] for key in KEYS if key.section == "api.restapi"}
    cors = Cors(
        origins=rest["cors_allowed_origins"],
        methods=rest["cors_allowed_methods"],
        headers=rest["cors_allowed_headers"],
        exposed=rest["cors_exposed_headers"],
        credentials=rest["cors_allow_credentials"],
        max_age=rest["cors_max_age"],
    )
    rules = HttpRules(
        cors,
        rest["headers"],
        rest["read_header_timeout"],
        rest["read_timeout"],
        rest["write_timeout"],
        rest["max_header_bytes"],
    )
    addresses = tuple(parse_address(text) for text in rest["http_listen_multiaddress"])
    return RestSettings(
        addresses, rules, rest["idle_timeout"], folder / rest["http_log_file"] if rest["http_log_file"] else None
    )


def telemetry_of(front: Server, cluster: Cluster, store: Store, clock: Clock) -> Telemetry:
    """The metrics of everything but the REST API, which adds its own."""
    cache = FiguresCache(store, clock)
    return Telemetry([Table.of(FRONT, front), *cluster_tables(cluster, store, cache, clock)], cache)


def identities(folder: Path, settings: Settings, environ: Mapping[str, str]) -> list[PeerRecord]:
    """The service's peers, the home node's first; identities that are not there yet are made. Raises IdentityError."""
    return [PeerRecord(_identity(folder, node, index, environ), node.name) for index, node in enumerate(settings.nodes)]


def _identity(folder: Path, node: Node, index: int, environ: Mapping[str, str]) -> PeerId:
    """The first peer is the service's identity.json; further ones are kept beside it, by their node's name."""
    if index == 0:
        return load_or_create(folder / "identity.json", environ).id
    return load_or_create(folder / "identities" / f"{node.name}.json").id


def _supervisor(folder: Path, settings: Settings, environ: Mapping[str, str], log: tuple[str, str]) -> Supervisor:
    clock = SystemClock()
    keepers = []
    for node in settings.nodes:
        if (own := node.embedded) is not None:
            command = NodeCommand(node.name, folder / own.repo, node.address, own.storage_max, own.gateways, log)
            keepers.append(Keeper(command, environ, clock, own.restart_pause))
    return Supervisor(keepers)


def _peer(identity: PeerId, node: Node, home: PeerId, settings: Settings, nodes: Supervisor) -> PeerSpec:
    address = parse_address(node.address)
    headers = [(HOPS, str(home))]
    if node.authorization:
        headers.append(("Authorization", node.authorization))
    endpoint = Endpoint(address.host, address.port, address.unix, tuple(headers), _tls(node))
    transport = HttpTransport(endpoint, trouble=partial(nodes.trouble, node.name))
    tags = node.tags or settings["informer.tags.tags"]
    kubo = KuboNode(transport, cluster=node.cluster)
    reserve = settings["informer.disk.reserve"] if node.reserve is None else node.reserve
    rule = RoomRule(reserve, node.honour_storage_max)
    return PeerSpec(identity, node.name, kubo, identity == home, tags, rule, node.concurrent)


def _upstream(node: Node) -> Upstream:
    address = parse_address(node.address)
    headers = (("Authorization", node.authorization),) if node.authorization else ()
    return Upstream(address.host, address.port, address.unix, headers, _tls(node))


def _tls(node: Node) -> ssl.SSLContext | None:
    return client_tls(node.ca_file) if parse_address(node.address).tls else None


def _listen(text: str) -> Listen:
    address = parse_address(text)
    return Listen(address.host, address.port, address.unix)


def _monitor(settings: Settings) -> MonitorSettings:
    disk_ttl = settings["informer.disk.metric_ttl"]
    allocate_by = settings["allocator.balanced.allocate_by"]
    by_size = settings["informer.disk.metric_type"] == "reposize" or "reposize" in allocate_by
    return MonitorSettings(
        ping_interval=settings["cluster.monitor_ping_interval"],
        disk_ttl=disk_ttl,
        tags_ttl=settings["informer.tags.metric_ttl"],
        queue_ttl=settings["informer.pinqueue.metric_ttl"],
        queue_bucket=settings["informer.pinqueue.weight_bucket_size"],
        repo_interval=disk_ttl if by_size else MonitorSettings().repo_interval,
    )


def _engine(folder: Path, settings: Settings) -> EngineSettings:
    return EngineSettings(
        defaults=Defaults(
            settings["cluster.replication_factor_min"],
            settings["cluster.replication_factor_max"],
            settings["allocator.balanced.allocate_by"],
        ),
        peer=PeerSettings(
            tracker=TrackerSettings(
                concurrent=settings["pin_tracker.stateless.concurrent_pins"],
                pin_timeout=settings["ipfs_connector.ipfshttp.pin_timeout"],
                unpin_timeout=settings["ipfs_connector.ipfshttp.unpin_timeout"],
                method=PinMethod(settings["ipfs_connector.ipfshttp.pin_method"]),
                priority_retries=settings["pin_tracker.stateless.priority_pin_max_retries"],
                priority_age=settings["pin_tracker.stateless.priority_pin_max_age"],
            ),
            monitor=_monitor(settings),
            reconcile_interval=settings["cluster.pin_recover_interval"],
        ),
        ingest=IngestSettings(spool=folder),
        upkeep=UpkeepSettings(
            PresenceSettings(
                Patience.of(settings["cluster.repin_grace"]),
                check_interval=settings["monitor.pubsubmon.check_interval"],
            ),
            MoveSettings(settings["cluster.repin_concurrent"], settings["cluster.repin_budget"]),
            RepairSettings(repin=not settings["cluster.disable_repinning"]),
        ),
        wait=Wait(settings["api.ipfsproxy.wait"]),
        adopt=settings["api.ipfsproxy.adopt"],
    )
