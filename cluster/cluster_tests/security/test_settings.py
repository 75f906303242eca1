"""Doors that others can reach are closed unless they ask for credentials or somebody says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.settings import Settings, SettingsError, parse, users_of

PROXY, REST = "ipfsproxy", "restapi"
BOT = {"bot": {"AuthSecret": "bearer:CANARY", "Roles": ["pin"]}}


def api(door: str, address: str, **more: object) -> dict[str, Any]:
    key = "listen_multiaddress" if door == PROXY else "http_listen_multiaddress"
    return {"api": {door: {key: address, **more}}}


def names(settings: Settings, door: str) -> list[str]:
    return [user.name for user in users_of(settings.values, f"api.{door}")]


@pytest.mark.parametrize("door", [PROXY, REST])
@pytest.mark.parametrize("address", ["/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip4/192.0.2.1/tcp/1", "/dns/host/tcp/1"])
def test_an_address_beyond_this_machine_needs_credentials(door: str, address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(api(door, address), {})
    assert f".{door}." in str(caught.value)
    assert address in str(caught.value)
    for way_out in (f"set api.{door}.authorizations", "127.0.0.1 or a unix socket", f"api.{door}.allow_remote to true"):
        assert way_out in str(caught.value)
    parse(api(door, address, authorizations=BOT), {})
    parse(api(door, address, allow_remote=True), {})
    other = REST if door == PROXY else PROXY
    with pytest.raises(SettingsError):
        parse({"api": {**api(door, address)["api"], other: {"authorizations": BOT}}}, {})


@pytest.mark.parametrize("door", [PROXY, REST])
@pytest.mark.parametrize("address", ["/ip4/127.0.0.1/tcp/1", "/ip4/127.1.2.3/tcp/1", "/ip6/::1/tcp/1", "/unix/run/x"])
def test_an_address_of_this_machine_needs_none(door: str, address: str) -> None:
    parse(api(door, address), {})


def test_the_rest_api_has_the_users_of_both_keys() -> None:
    settings, warnings = parse(
        {"api": {REST: {"basic_auth_credentials": {"ann": "CANARY"}, "authorizations": BOT}}}, {}
    )
    assert warnings == []
    assert names(settings, REST) == ["ann", "bot"]
    assert names(settings, PROXY) == []


def test_users_come_from_the_environment_and_from_files_it_names(tmp_path: Path) -> None:
    secrets = tmp_path / "users.json"
    secrets.write_text(json.dumps(BOT) + "\n")
    environ = {
        "CLUSTER_RESTAPI_BASICAUTHCREDENTIALS": "ann:CANARY,bob:CANARY2",
        "CLUSTER_IPFSPROXY_AUTHORIZATIONS_FILE": str(secrets),
    }
    settings, _ = parse({}, environ)
    assert names(settings, REST) == ["ann", "bob"]
    assert names(settings, PROXY) == ["bot"]


@pytest.mark.parametrize(
    "document",
    [
        {"api": {REST: {"basic_auth_credentials": {"a:b": "CANARY"}}}},
        {"api": {REST: {"basic_auth_credentials": {"a": "scrypt$CANARY"}}}},
        {"api": {PROXY: {"authorizations": {"a": {"AuthSecret": "CANARY"}}}}},
        {"api": {PROXY: {"authorizations": {"a": BOT["bot"], "b": BOT["bot"]}}}},
        {"api": {REST: {"basic_auth_credentials": {"bot": "CANARY"}, "authorizations": BOT}}},
    ],
)
def test_a_mistake_is_told_without_the_secret(document: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(document, {})
    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(parse({"api": {PROXY: {"authorizations": BOT}}}, {}))


def test_who_has_no_password_is_left_out_and_named() -> None:
    # As in ipfs-cluster, where an empty password is never the right one.
    settings, warnings = parse({"api": {REST: {"basic_auth_credentials": {"ann": "CANARY", "eve": ""}}}}, {})
    assert names(settings, REST) == ["ann"]
    assert warnings == ["api.restapi.basic_auth_credentials: eve has no password and cannot log in"]
    _, warnings = parse({}, {"CLUSTER_RESTAPI_BASICAUTHCREDENTIALS": "ann:CANARY,eve:"})
    assert warnings == ["CLUSTER_RESTAPI_BASICAUTHCREDENTIALS: eve has no password and cannot log in"]
