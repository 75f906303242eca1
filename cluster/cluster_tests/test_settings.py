"""The configuration: every wrong value is named with key, value and reason; nothing is passed over in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.settings import (
    KEYS,
    MISSING,
    WITHOUT_MEANING,
    Embedded,
    Node,
    Settings,
    SettingsError,
    load,
    parse,
    write_default,
)

SECRET = "ab" * 32


def refused(document: object, environ: dict[str, str] | None = None) -> list[str]:
    """The problems of a configuration."""
    with pytest.raises(SettingsError) as caught:
        parse(document, environ or {})
    return str(caught.value).splitlines()


def value(document: dict[str, Any], key: str, **environ: str) -> Any:
    """One value of a configuration that gives no warnings."""
    settings, warnings = parse(document, environ)
    assert warnings == []
    return settings[key]


def test_an_empty_configuration_is_all_defaults() -> None:
    for document in ({}, None, {"cluster": None, "api": {"restapi": None}}):
        settings, warnings = parse(document, {})
        assert warnings == []
        assert settings.values == {key.path: key.default for key in KEYS}


WRONG = [
    ("cluster", "peername", 5, "5: must be a string"),
    ("cluster", "replication_factor_min", "many", '"many": must be a whole number'),
    ("cluster", "replication_factor_min", True, "true: must be a whole number"),
    ("cluster", "replication_factor_max", 0, "0: must be -1 (everywhere) or positive"),
    ("cluster", "replication_factor_max", 1.5, "1.5: must be a whole number"),
    ("cluster", "monitor_ping_interval", "soon", '"soon": must be a duration such as "1m30s"'),
    ("cluster", "monitor_ping_interval", "1m30", '"1m30": must be a duration such as "1m30s"'),
    ("cluster", "monitor_ping_interval", "-5s", '"-5s": must be a duration such as "1m30s"'),
    ("cluster", "monitor_ping_interval", 15, '15: must be a duration such as "1m30s"'),
    ("cluster", "pin_recover_interval", "0s", '"0s": must be longer than 0s'),
    ("cluster", "disable_repinning", "yes", '"yes": must be true or false'),
    ("cluster", "disable_repinning", 1, "1: must be true or false"),
    ("informer.disk", "reserve", "5%", '"5%": must be bytes or a size such as "10GB" or "512MiB"'),
    ("informer.disk", "reserve", -1, "-1: must not be negative"),
    ("informer.disk", "reserve", True, "true: must be a whole number"),
    ("informer.disk", "metric_type", "free", '"free": must be one of freespace, reposize'),
    ("api.ipfsproxy", "listen_multiaddress", [], "[]: needs at least one address"),
    ("api.ipfsproxy", "listen_multiaddress", {}, "{}: must be a string or a list of strings"),
    ("api.ipfsproxy", "listen_multiaddress", "/ip4/127.0.0.1/udp/9095", "must be /ip4|ip6|dns/<host>/tcp/<port>"),
    ("api.restapi", "max_header_bytes", 4095, "4095: must be 4096 or more"),
    ("api.restapi", "read_timeout", "-1s", '"-1s": must be a duration'),
    ("api.restapi", "headers", {"X": 1}, '{"X": 1}: X: must be a string or a list of strings'),
    ("api.restapi", "headers", {"X": "a\r\nY: b"}, "must be one line of text"),
    ("api.restapi", "headers", {"X Y": "a"}, '"X Y" is no header name'),
    ("api.restapi", "headers", {"Content-Length": "1"}, "Content-Length is the server's own"),
    ("api.restapi", "cors_allowed_origins", ["app.example"], '"app.example" is no origin such as https://'),
    ("api.restapi", "cors_allowed_origins", ["https://*.*.example"], "is no origin such as https://"),
    ("api.restapi", "cors_allowed_methods", ["LIST"], "LIST is none of GET, HEAD, POST"),
    ("api.restapi", "cors_allowed_headers", ["a b"], '"a b" is no header name'),
    ("api.ipfsproxy", "wait", "long", '"long": must be one of accepted, min, all'),
    ("api.ipfsproxy", "allowed_origins", [1], "[1]: must be a string or a list of strings"),
    ("ipfs_connector.ipfshttp", "node_multiaddress", "http://localhost:5001", "not a multiaddr"),
    ("ipfs_connector", "nodes", [], "must be a list of nodes, at least one"),
    ("ipfs_connector", "nodes", "[", "Expecting value"),
    ("pin_tracker.stateless", "concurrent_pins", 0, "0: must be larger than 0"),
    ("allocator.balanced", "allocate_by", [], "[]: must name at least one metric"),
    (
        "allocator.balanced",
        "allocate_by",
        ["tag:group", "freespce"],
        "freespce is none of tag:NAME, freespace, reposize",
    ),
    ("allocator.balanced", "allocate_by", ["tag:"], "tag: is none of tag:NAME, freespace"),
    ("allocator.balanced", "allocate_by", "tag:rack,freespace", '"tag:rack": no node has this tag'),
    ("informer.tags", "tags", {"region": 1}, '{"region": 1}: must be a map of strings'),
]


@pytest.mark.parametrize(("section", "name", "given", "reason"), WRONG)
def test_a_wrong_value_is_named_with_key_value_and_reason(section: str, name: str, given: object, reason: str) -> None:
    document: dict[str, Any] = {name: given}
    for part in reversed(section.split(".")):
        document = {part: document}
    problems = refused(document)
    assert problems[0].startswith(f"{section}.{name}: ")
    assert reason in problems[0]


def test_allocation_goes_by_tags_that_some_node_has() -> None:
    nodes = [{"name": name, "node_multiaddress": f"/ip4/127.0.0.1/tcp/{port}"} for name, port in (("a", 1), ("b", 2))]
    by_rack = {"allocator": {"balanced": {"allocate_by": ["tag:rack", "freespace"]}}}
    missing = 'allocator.balanced.allocate_by: "tag:rack": no node has this tag; '
    assert refused({**by_rack, "ipfs_connector": {"nodes": nodes}})[0].startswith(missing)
    nodes[1]["tags"] = {"rack": "1"}  # type: ignore[assignment]
    settings, _ = parse({**by_rack, "ipfs_connector": {"nodes": nodes}}, {})
    assert settings["allocator.balanced.allocate_by"] == ("tag:rack", "freespace")
    elsewhere = {"informer": {"tags": {"tags": {"rack": "1"}}}}
    assert parse({**by_rack, **elsewhere}, {})[0]["allocator.balanced.allocate_by"] == ("tag:rack", "freespace")
    assert "tag:group" in refused(elsewhere)[0], "the default goes by it"


def test_all_problems_are_told_at_once() -> None:
    problems = refused(
        {"cluster": {"peername": 1, "disable_repinning": "no"}, "api": 5}, {"CLUSTER_STATELESS_CONCURRENTPINS": "none"}
    )
    assert [problem.split(": ")[0] for problem in problems] == [
        "api",
        "cluster.peername",
        "cluster.disable_repinning",
        "CLUSTER_STATELESS_CONCURRENTPINS",
    ]


@pytest.mark.parametrize("document", [[], "text", 5])
def test_a_configuration_is_a_map(document: object) -> None:
    assert refused(document) == ["the configuration must be a map of sections"]


@pytest.mark.parametrize(("low", "high"), [(-1, 2), (2, -1), (3, 2)])
def test_factors_that_contradict_each_other(low: int, high: int) -> None:
    (problem,) = refused({"cluster": {"replication_factor_min": low, "replication_factor_max": high}})
    assert problem.startswith(f"cluster.replication_factor_min: {low}: with replication_factor_max {high}: ")


@pytest.mark.parametrize(
    ("section", "key"), [("ipfsproxy", "listen_multiaddress"), ("restapi", "http_listen_multiaddress")]
)
def test_a_door_beyond_this_machine_has_to_be_allowed(section: str, key: str) -> None:
    for address in ("/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/dns4/host.example/tcp/1"):
        (problem,) = refused({"api": {section: {key: ["/ip6/::1/tcp/1", address]}}})
        assert problem.startswith(f'api.{section}.{key}: "{address}": listens beyond this machine')
        allowed, _ = parse({"api": {section: {key: address, "allow_remote": True}}}, {})
        assert allowed[f"api.{section}.{key}"] == (address,)
    assert value({"api": {section: {key: "/unix/run/door.sock"}}}, f"api.{section}.{key}") == ("/unix/run/door.sock",)


# --- secrets ---


def test_a_secret_is_never_shown() -> None:
    assert refused({"cluster": {"secret": "hush"}}) == ["cluster.secret: …: must be 64 hexadecimal digits or empty"]
    problems = refused(
        {"ipfs_connector": {"nodes": [{"node_multiaddress": "nowhere", "authorization": "Bearer hush"}]}}
    )
    problems += refused(
        {"ipfs_connector": {"nodes": [{"node_multiaddress": "/unix/x", "authorization": "Bearer\r\nhush"}]}}
    )
    assert [problem for problem in problems if "hush" in problem] == []
    assert "hush" not in repr(Node("n", "/unix/x", (), "hush"))


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    assert value({}, "cluster.secret", CLUSTER_SECRET_FILE=str(tmp_path / "secret")) == SECRET
    (problem,) = refused({}, {"CLUSTER_SECRET_FILE": str(tmp_path / "nothing")})
    assert problem == "CLUSTER_SECRET_FILE: cannot read the secret file: No such file or directory"


# --- environment ---


@pytest.mark.parametrize(
    ("variable", "given", "key", "expected"),
    [
        ("CLUSTER_PEERNAME", "one", "cluster.peername", "one"),
        ("CLUSTER_DISABLEREPINNING", "True", "cluster.disable_repinning", True),
        ("CLUSTER_MONITORPINGINTERVAL", "1m0.5s", "cluster.monitor_ping_interval", 60.5),
        ("CLUSTER_IPFSPROXY_ALLOWEDORIGINS", "http://a, http://b", "api.ipfsproxy.allowed_origins", ("http://a", "http://b")),
        ("CLUSTER_RESTAPI_HEADERS", "X-A:b,X-C:d:e", "api.restapi.headers", (("X-A", "b"), ("X-C", "d:e"))),
        ("CLUSTER_RESTAPI_CORSALLOWEDMETHODS", "get,post", "api.restapi.cors_allowed_methods", ("GET", "POST")),
        ("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS", "/unix/a", "api.restapi.http_listen_multiaddress", ("/unix/a",)),
        ("CLUSTER_STATELESS_CONCURRENTPINS", "3", "pin_tracker.stateless.concurrent_pins", 3),
        ("CLUSTER_BALANCED_ALLOCATEBY", "freespace", "allocator.balanced.allocate_by", ("freespace",)),
        ("CLUSTER_TAGS_TAGS", "region:eu,group:x:y", "informer.tags.tags", (("region", "eu"), ("group", "x:y"))),
    ],
)  # fmt: skip
def test_the_environment_wins_over_the_file(variable: str, given: str, key: str, expected: object) -> None:
    assert value({"cluster": {"peername": "file"}}, key, **{variable: given}) == expected


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    assert refused({}, {"CLUSTER_TAGS_TAGS": "region"}) == [
        'CLUSTER_TAGS_TAGS: "region": must be "key:value,key:value"'
    ]


# --- nodes ---


def nodes(document: dict[str, Any], **environ: str) -> list[tuple[str, str]]:
    settings, _ = parse({"cluster": {"peername": "me"}, "ipfs_connector": document}, environ)
    return [(node.name, node.address) for node in settings.nodes]


def test_nodes_are_listed_or_numbered() -> None:
    assert nodes({}) == [("me", "/ip4/127.0.0.1/tcp/5001")]
    assert nodes({"ipfshttp": {"node_multiaddress": ["/unix/a", "/unix/b"]}}) == [
        ("me", "/unix/a"),
        ("me-2", "/unix/b"),
    ]
    listed = [{"name": "x", "node_multiaddress": "/unix/x"}, {"node_multiaddress": "/unix/y"}]
    assert nodes({"nodes": listed}) == [("x", "/unix/x"), ("node1", "/unix/y")]
    assert nodes({}, CLUSTER_IPFSCONNECTOR_NODES=json.dumps(listed)) == [("x", "/unix/x"), ("node1", "/unix/y")]


def test_the_node_address_of_the_environment_wins_over_the_listed_nodes() -> None:
    listed = {"nodes": [{"name": "x", "node_multiaddress": "/unix/x"}]}
    assert nodes(listed, CLUSTER_IPFSHTTP_NODEMULTIADDRESS="/unix/a,/unix/b") == [
        ("me", "/unix/a"),
        ("me-2", "/unix/b"),
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("/unix/x", "entry 1: must be a map with node_multiaddress"),
        ({"name": "b"}, "entry 1: must be a map with node_multiaddress"),
        ({"node_multiaddress": "/unix/x", "honor": 1}, "entry 1: unknown key honor"),
        ({"node_multiaddress": "nowhere"}, 'entry 1: node_multiaddress: "nowhere": not a multiaddr'),
        (
            {"node_multiaddress": ["/unix/x", "/unix/y"]},
            'node_multiaddress: ["/unix/x", "/unix/y"]: must be one address',
        ),
        ({"node_multiaddress": "/unix/x", "name": "a"}, "every node needs a name of its own"),
        ({"node_multiaddress": "/unix/x", "name": "../a"}, 'entry 1: name: "../a": must not be empty or contain /'),
        ({"node_multiaddress": "/unix/x", "tags": ["a"]}, 'entry 1: tags: ["a"]: must be a map of strings'),
        (
            {"node_multiaddress": "/unix/x", "authorization_file": "/nothing"},
            "cannot read the secret file: No such file",
        ),
    ],
)
def test_a_wrong_node_is_named(entry: object, reason: str) -> None:
    (problem,) = refused({"ipfs_connector": {"nodes": [{"name": "a", "node_multiaddress": "/unix/a"}, entry]}})
    assert problem.startswith("ipfs_connector.nodes: ")
    assert reason in problem


def test_authorization_of_a_node_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer hush\n")
    entry = {"node_multiaddress": "/unix/x", "authorization_file": str(tmp_path / "token")}
    settings, _ = parse({"ipfs_connector": {"nodes": [entry]}}, {})
    assert settings.nodes[0].authorization == "Bearer hush"


def test_headers_have_a_value_or_several() -> None:
    given = {"X-One": "a", "X-Two": ["b", "c"], "X-None": []}
    found = value({"api": {"restapi": {"headers": given}}}, "api.restapi.headers")
    assert found == (("X-One", "a"), ("X-Two", "b"), ("X-Two", "c"))


# --- keys of ipfs-cluster and of nobody ---


def test_keys_without_meaning_and_unknown_keys_are_named() -> None:
    _, warnings = parse(
        {"consensus": {"crdt": {"cluster_name": "c"}}, "cluster": {"mdns_interval": "10s", "peernam": 1}}, {}
    )
    assert warnings == [
        "these settings of ipfs-cluster have no meaning here: cluster.mdns_interval, consensus",
        "unknown settings are ignored: cluster.peernam",
    ]


def test_sections_without_a_setting_are_passed_over() -> None:
    assert parse({"consensus": {"raft": {}}, "datastore": {"badger": {"badger_options": {}}}}, {})[1] == []


def test_a_key_has_one_meaning() -> None:
    paths = {key.path for key in KEYS}
    assert len(paths) == len(KEYS)
    assert len({key.env for key in KEYS}) == len(KEYS)
    assert len(paths | WITHOUT_MEANING | set(MISSING)) == len(paths) + len(WITHOUT_MEANING) + len(MISSING)


@pytest.mark.parametrize("key", MISSING)
def test_what_would_be_missed_is_refused(key: str) -> None:
    def document(value: object) -> dict[str, Any]:
        for part in reversed(key.split(".")):
            value = {part: value}
        assert isinstance(value, dict)
        return value

    assert refused(document("something")) == [f"{key}: {MISSING[key]}"]
    assert [parse(document(unset), {})[1] for unset in (None, False, "")] == [[], [], []]


# --- files ---


@pytest.mark.parametrize(
    ("name", "content"),
    [("service.json", '{"cluster": {"peername": "x"}}'), ("service.yaml", "cluster: {peername: x}  # a comment\n")],
)
def test_json_or_yaml(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    settings, warnings = load(tmp_path, {})
    assert (settings.peername, warnings) == ("x", [])


def test_two_configurations_in_one_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text("{}")
    (tmp_path / "service.yaml").write_text("{}")
    assert load(tmp_path, {})[1] == ["service.json is used and service.yaml beside it is not"]


@pytest.mark.parametrize(("name", "content"), [("service.json", "{"), ("service.yaml", "a: [")])
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SettingsError, match=f"^{name} cannot be read: "):
        load(tmp_path, {})


def test_no_configuration_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="run `ipfs-cluster-service init`"):
        load(tmp_path, {})


# --- the file that init writes ---


def loaded(folder: Path) -> Settings:
    settings, warnings = load(folder, {})
    assert warnings == []
    return settings


def test_what_init_writes_loads_and_keeps_the_environment(tmp_path: Path) -> None:
    environ = {"CLUSTER_IPFSHTTP_NODEMULTIADDRESS": "/unix/a,/unix/b", "CLUSTER_PEERNAME": "me"}
    path = write_default(tmp_path / "new", environ, secret=SECRET).path
    settings = loaded(tmp_path / "new")
    assert [(node.name, node.address) for node in settings.nodes] == [("me", "/unix/a"), ("me-2", "/unix/b")]
    assert settings["cluster.secret"] == SECRET
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("existing", ["service.json", "service.yaml"])
def test_init_never_overwrites_unasked(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("{}")
    with pytest.raises(FileExistsError, match=existing):
        write_default(tmp_path, {}, secret=SECRET)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["{}"]
    kept = write_default(tmp_path, {}, secret=SECRET, force=True).kept
    assert "peername" in (tmp_path / "service.json").read_text()
    assert kept == tmp_path / f"{existing}.old.1"
    assert kept.read_text() == "{}"
    again = write_default(tmp_path, {}, secret=SECRET, force=True).kept
    assert again is not None
    assert "peername" in again.read_text()
    assert loaded(tmp_path).peername


def test_wrong_environment_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CLUSTER_REPLICATIONFACTORMIN"):
        write_default(tmp_path, {"CLUSTER_REPLICATIONFACTORMIN": "x"}, secret=SECRET)
    assert list(tmp_path.iterdir()) == []


def test_a_node_may_have_a_reserve_of_its_own() -> None:
    entry = {"node_multiaddress": "/unix/x"}
    entries = [entry, {**entry, "reserve": "5GiB", "honour_storage_max": True}, {**entry, "reserve": 0}]
    found = value({"ipfs_connector": {"nodes": entries}}, "ipfs_connector.nodes")
    assert [(node.reserve, node.honour_storage_max) for node in found] == [
        (None, False),
        (5 * 2**30, True),
        (0, False),
    ]
    (problem,) = refused({"ipfs_connector": {"nodes": [{**entry, "reserve": "much"}]}})
    assert "reserve" in problem


def test_a_node_may_have_a_number_of_pins_of_its_own() -> None:
    nodes: list[dict[str, object]] = [
        {"name": "small", "node_multiaddress": "/unix/a", "concurrent_pins": 2},
        {"name": "usual", "node_multiaddress": "/unix/b"},
    ]
    settings, _ = parse({"ipfs_connector": {"nodes": nodes}}, {})
    assert [node.concurrent for node in settings.nodes] == [2, 0]
    nodes[0]["concurrent_pins"] = 0
    (problem,) = refused({"ipfs_connector": {"nodes": nodes}})
    assert "entry 0: concurrent_pins: 0: must be larger than 0" in problem


# --- embedded nodes ---

OWN = {"name": "own", "node_multiaddress": "/ip4/127.0.0.1/tcp/5101"}


def test_an_embedded_node_listens_where_it_is_asked_and_has_the_usual_values() -> None:
    (node,) = value({"ipfs_connector": {"nodes": [{**OWN, "embedded": True}]}}, "ipfs_connector.nodes")
    assert node.address == OWN["node_multiaddress"]
    assert node.embedded == Embedded("nodes/own", 10**10, (), 30.0)
    assert node.honour_storage_max
    given = {"repo": "/data/a", "storage_max": "1GiB", "gateways": ["https://gw.example/"], "restart_pause": "0s"}
    entry = {**OWN, "honour_storage_max": False, "embedded": given}
    (node,) = value({"ipfs_connector": {"nodes": [entry]}}, "ipfs_connector.nodes")
    assert node.embedded == Embedded("/data/a", 2**30, ("https://gw.example",), 0.0)
    assert not node.honour_storage_max
    (node,) = value({"ipfs_connector": {"nodes": [{**OWN, "embedded": False}]}}, "ipfs_connector.nodes")
    assert node.embedded is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"embedded": "yes"}, 'entry 1: embedded: "yes": must be true, false or a map'),
        ({"embedded": {"gateway": "x"}}, "entry 1: embedded: unknown key gateway"),
        ({"embedded": {"repo": "."}}, 'entry 1: embedded: repo: ".": must be a folder of its own'),
        ({"embedded": {"storage_max": "much"}}, 'entry 1: embedded: storage_max: "much": must be bytes'),
        ({"embedded": {"restart_pause": 5}}, "entry 1: embedded: restart_pause: 5: must be a duration"),
        ({"embedded": {"gateways": ["ftp://x"]}}, '"ftp://x" is no URL of a gateway'),
        ({"embedded": {"gateways": ["https://a:b@gw.example"]}}, "a gateway's URL carries no credentials"),
        ({"authorization": "Bearer x"}, "entry 1: authorization: an embedded node has none"),
        ({"cluster": True}, "entry 1: cluster: an embedded node has none"),
        ({"node_multiaddress": "/ip4/0.0.0.0/tcp/5101"}, "an embedded node has a tcp port of loopback, without TLS"),
        ({"node_multiaddress": "/ip4/127.0.0.1/tcp/0"}, "an embedded node has a tcp port of loopback, without TLS"),
        ({"node_multiaddress": "/ip4/127.0.0.1/tcp/1/https"}, "an embedded node has a tcp port of loopback"),
        ({"node_multiaddress": "/unix/x"}, "an embedded node has a tcp port of loopback, without TLS"),
        ({"node_multiaddress": "/ip4/127.0.0.1/tcp/5102"}, "every embedded node needs an address of its own"),
        ({"embedded": {"repo": "nodes/other/"}}, "every embedded node needs a repo of its own"),
    ],
)
def test_a_wrong_embedded_node_is_named(change: dict[str, object], reason: str) -> None:
    other = {"name": "other", "node_multiaddress": "/ip4/127.0.0.1/tcp/5102", "embedded": True}
    (problem,) = refused({"ipfs_connector": {"nodes": [other, {**OWN, "embedded": True, **change}]}})
    assert reason in problem


@pytest.mark.parametrize(("number", "factors"), [(1, (-1, -1)), (2, (1, 2)), (3, (2, 2)), (5, (2, 2))])
def test_embedded_nodes_are_written_with_ports_folders_and_copies(
    tmp_path: Path, number: int, factors: tuple[int, int]
) -> None:
    write_default(tmp_path, {}, secret=SECRET, embedded=range(5101, 5101 + number))
    settings = loaded(tmp_path)
    names = [f"node{i}" for i in range(1, number + 1)]
    assert [node.name for node in settings.nodes] == names
    assert [node.address for node in settings.nodes] == [f"/ip4/127.0.0.1/tcp/{5100 + i}" for i in range(1, number + 1)]
    assert [node.embedded and node.embedded.repo for node in settings.nodes] == [f"nodes/{name}" for name in names]
    assert (settings["cluster.replication_factor_min"], settings["cluster.replication_factor_max"]) == factors
    pause = settings.nodes[0].embedded.restart_pause if settings.nodes[0].embedded else None
    assert pause == (1.0 if number == 1 else 20.0)
    assert settings["cluster.repin_grace"] == (300.0 if number == 1 else 5.0)
    assert not settings["cluster.disable_repinning"]


def test_factors_of_the_environment_hold_for_embedded_nodes_too(tmp_path: Path) -> None:
    environ = {"CLUSTER_REPLICATIONFACTORMIN": "3", "CLUSTER_REPLICATIONFACTORMAX": "3"}
    write_default(tmp_path, environ, secret=SECRET, embedded=[1, 2, 3])
    assert loaded(tmp_path)["cluster.replication_factor_min"] == 3
