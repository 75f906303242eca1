"""Section `api`: the doors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.security.users import User, authorizations, basic_credentials, clashes, without_password
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
    Key("api", "audit_log", "", text, reload=True),
    Key(PROXY, "ssl_cert_file", "", text),
    Key(PROXY, "ssl_key_file", "", text),
    Key(PROXY, "authorizations", (), authorizations, secret=True, reload=True),
    Key(PROXY, "allow_remote", False, boolean),
    Key(REST, "http_listen_multiaddress", ("/ip4/127.0.0.1/tcp/9094",), addresses),
    Key(REST, "ssl_cert_file", "", text),
    Key(REST, "ssl_key_file", "", text),
    Key(REST, "basic_auth_credentials", (), basic_credentials, secret=True, reload=True, caution=without_password),
    Key(REST, "authorizations", (), authorizations, secret=True, reload=True),
    Key(REST, "token_ttl", 86400.0, positive_duration, reload=True),
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
    "api.ipfsproxy.node_https": "write /https at the end of a node's node_multiaddress",
}


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with values that are right each by itself."""
    return [
        *_open_doors(values, PROXY, "listen_multiaddress"),
        *_open_doors(values, REST, "http_listen_multiaddress"),
        *_half_certificates(values, PROXY, "listen_multiaddress"),
        *_half_certificates(values, REST, "http_listen_multiaddress"),
        *(f"{PROXY}.authorizations: {problem}" for problem in clashes(users_of(values, PROXY))),
        *(f"{REST}.authorizations: {problem}" for problem in clashes(users_of(values, REST))),
    ]


def users_of(values: Mapping[str, Any], section: str) -> tuple[User, ...]:
    """Who may use a door; nobody in particular if it is empty."""
    users: tuple[User, ...] = values[f"{section}.authorizations"]
    return (*values[f"{REST}.basic_auth_credentials"], *users) if section == REST else users


def _half_certificates(values: Mapping[str, Any], section: str, key: str) -> list[str]:
    chain, secret = values[f"{section}.ssl_cert_file"], values[f"{section}.ssl_key_file"]
    if bool(chain) != bool(secret):
        return [f"{section}.ssl_cert_file: needs ssl_key_file beside it, and the other way round"]
    return [
        f"{section}.{key}: {json.dumps(address)}: TLS needs {section}.ssl_cert_file and ssl_key_file"
        for address in values[f"{section}.{key}"]
        if parse_address(address).tls and not chain
    ]


def _open_doors(values: Mapping[str, Any], section: str, key: str) -> list[str]:
    """Deny by default: what others can reach asks for credentials, unless somebody takes the responsibility."""
    if users_of(values, section) or values[f"{section}.allow_remote"]:
        return []
    return [
        f"{section}.{key}: {json.dumps(address)}: listens beyond this machine without credentials; "
        f"set {section}.authorizations, or listen on 127.0.0.1 or a unix socket, "
        f"or set {section}.allow_remote to true if something in front of it protects it"
        for address in values[f"{section}.{key}"]
        if not parse_address(address).loopback
    ]
