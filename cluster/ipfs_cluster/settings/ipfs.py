"""Sections `ipfs_connector` and `pin_tracker`: the nodes and what is asked of them."""

from __future__ import annotations

from ipfs_cluster.settings.key import Key, under
from ipfs_cluster.settings.nodes import nodes
from ipfs_cluster.settings.values import addresses, choice, positive, positive_duration

IPFSHTTP = "ipfs_connector.ipfshttp"
TRACKER = "pin_tracker.stateless"
NODES = Key("ipfs_connector", "nodes", (), nodes, secret=True)
NODE_ADDRESS = Key(IPFSHTTP, "node_multiaddress", ("/ip4/127.0.0.1/tcp/5001",), addresses)

KEYS = (
    NODES,
    NODE_ADDRESS,
    Key(IPFSHTTP, "pin_timeout", 120.0, positive_duration, reload=True),
    Key(IPFSHTTP, "unpin_timeout", 10800.0, positive_duration, reload=True),
    Key(IPFSHTTP, "pin_method", "pin", choice("pin", "refs"), reload=True),
    Key(TRACKER, "concurrent_pins", 10, positive),
    Key(TRACKER, "priority_pin_max_age", 86400.0, positive_duration, reload=True),
    Key(TRACKER, "priority_pin_max_retries", 5, positive, reload=True),
)

WITHOUT_MEANING = frozenset(
    {
        *under(IPFSHTTP, "connect_swarms_delay ipfs_request_timeout repogc_timeout informer_trigger_interval"),
        *under(TRACKER, "max_pin_queue_size"),
    }
)

MISSING = {"ipfs_connector.ipfshttp.unpin_disable": "removed pins would be unpinned all the same"}
