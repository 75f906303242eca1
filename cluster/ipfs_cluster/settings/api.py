"""Section `api`: the doors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.settings.key import Key, under
from ipfs_cluster.settings.values import (
    addresses,
    boolean,
    choice,
    duration,
    header_bytes,
    header_names,
    headers,
    methods,
    origins,
    positive_duration,
    strings,
    text,
)

PROXY = "api.ipfsproxy"
REST = "api.restapi"
EXPOSED = ("Content-Type", "X-Stream-Output", "X-Chunked-Output", "X-Content-Length")

KEYS = (
    Key(PROXY, "listen_multiaddress", ("/ip4/127.0.0.1/tcp/9095",), addresses),
    Key(PROXY, "read_header_timeout", 30.0, positive_duration, reload=True),
    Key(PROXY, "idle_timeout", 120.0, positive_duration, reload=True),
    Key(PROXY, "wait", "min", choice("accepted", "min", "all"), reload=True),
    Key(PROXY, "allowed_origins", (), strings, reload=True),
    Key(PROXY, "indirect_pins", True, boolean),
    Key(PROXY, "adopt", True, boolean),
    Key(PROXY, "allow_remote", False, boolean),
    Key(REST, "http_listen_multiaddress", ("/ip4/127.0.0.1/tcp/9094",), addresses),
    Key(REST, "allow_remote", False, boolean),
    Key(REST, "read_header_timeout", 5.0, duration, reload=True),
    Key(REST, "read_timeout", 0.0, duration, reload=True),
    Key(REST, "write_timeout", 0.0, duration, reload=True),
    Key(REST, "idle_timeout", 120.0, positive_duration),
    Key(REST, "max_header_bytes", 4096, header_bytes),
    Key(REST, "http_log_file", "", text, reload=True),
    Key(REST, "headers", (), headers, reload=True),
    Key(REST, "cors_allowed_origins", (), origins, reload=True),
    Key(REST, "cors_allowed_methods", ("GET",), methods, reload=True),
    Key(REST, "cors_allowed_headers", (), header_names, reload=True),
    Key(REST, "cors_exposed_headers", EXPOSED, header_names, reload=True),
    Key(REST, "cors_allow_credentials", True, boolean, reload=True),
    Key(REST, "cors_max_age", 0.0, duration, reload=True),
)

WITHOUT_MEANING = frozenset(
    {
        "api.pinsvcapi",
        *under(PROXY, "node_multiaddress log_file read_timeout write_timeout max_header_bytes"),
        *under(PROXY, "extract_headers_extra extract_headers_path extract_headers_ttl"),
        *under(REST, "id private_key libp2p_listen_multiaddress"),
    }
)

MISSING = {
    "api.ipfsproxy.node_https": "TLS toward the node is not supported yet",
    "api.restapi.basic_auth_credentials": "the REST API has no credentials yet; nothing would be protected",
    "api.restapi.ssl_cert_file": "the REST API has no TLS yet; nothing would be encrypted",
    "api.restapi.ssl_key_file": "the REST API has no TLS yet; nothing would be encrypted",
}


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with values that are right each by itself."""
    return [
        f"{section}.{door}: {json.dumps(address)}: listens beyond this machine without credentials; "
        f"set {section}.allow_remote to true if something in front of it protects it"
        for section, door in ((PROXY, "listen_multiaddress"), (REST, "http_listen_multiaddress"))
        for address in values[f"{section}.{door}"]
        if not parse_address(address).loopback and not values[f"{section}.allow_remote"]
    ]
