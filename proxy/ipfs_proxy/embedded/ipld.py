"""Blocks as data: the codecs that the door reads and writes, and the links of a block. Sans-IO."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import BadContent, InvalidArgument
from ipfs_cluster.ipld import dagcbor, dagjson
from ipfs_cluster.ipld.values import CidLink, Value
from ipfs_cluster.nodes.embedded.links import links as codec_links
from ipfs_cluster.nodes.embedded.links import links_in
from ipfs_cluster.unixfs import Link, dagpb
from ipfs_cluster.unixfs.protobuf import Malformed, prefix

CODECS: Mapping[str, int] = MappingProxyType(
    {
        "raw": 0x55,
        "dag-pb": 0x70,
        "dag-cbor": 0x71,
        "libp2p-key": 0x72,
        "git-raw": 0x78,
        "cbor": 0x51,
        "json": 0x0200,
        "dag-json": 0x0129,
        "dag-jose": 0x85,
    }
)
"""Multicodec names of what a block may be."""
NAMES = {code: name for name, code in CODECS.items()}


def codec_named(name: str) -> int:
    """The code for a multicodec name or a number ("0x55"). Raises InvalidArgument with Kubo's text."""
    if name in CODECS:
        return CODECS[name]
    try:
        return int(name, 0)
    except ValueError:
        raise InvalidArgument(f'unknown multicodec: "{name}"') from None


def decode(codec: int, data: bytes) -> Value:
    """The data of a block. Raises BadContent."""
    name = NAMES.get(codec, "")
    if name == "raw":
        return bytes(data)
    if name == "dag-pb":
        return _pb_value(data)
    if name in ("dag-cbor", "cbor"):
        return dagcbor.decode(data)
    if name in ("dag-json", "json"):
        return dagjson.decode(data)
    raise BadContent(f"no decoder registered for multicodec code {codec} (0x{codec:x})")


def encode(codec: int, value: Value) -> bytes:
    """A block of the data. Raises InvalidArgument for what the codec cannot say."""
    name = NAMES.get(codec, "")
    if name == "raw":
        if not isinstance(value, bytes):
            raise InvalidArgument(wrong_kind("AsBytes", value, "bytes"))
        return value
    if name == "dag-pb":
        return _pb_block(value)
    if name == "dag-cbor":
        return dagcbor.encode(value)
    if name == "dag-json":
        return dagjson.encode(value)
    if name == "cbor":
        if any(True for _ in links_in(value)):
            raise InvalidArgument("cannot Marshal ipld links to CBOR")
        return dagcbor.encode(value)
    raise InvalidArgument(f"no encoder registered for multicodec code {codec} (0x{codec:x})")


def links(cid: Cid, data: bytes) -> list[Link]:
    """What a block points to, in order; names and Tsizes are dag-pb's. Raises BadContent."""
    codec = cids.codec(cid)
    if codec == cids.RAW:
        return []
    if codec == cids.DAG_PB:
        try:
            return list(dagpb.decode(data).links)
        except Malformed as error:
            raise BadContent(f"{cids.text(cid)}: {error}") from None
    return [Link(b"", found, 0) for found in codec_links(cid, data)]


_KINDS: Mapping[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null",
    CidLink: "link",
}


def kind_of(value: Value) -> str:
    """The name of its kind in the data model."""
    return _KINDS[type(value)]


def wrong_kind(method: str, value: Value, wanted: str) -> str:
    """go-ipld-prime's words for a value that is not of the kind that is needed."""
    kind = kind_of(value)
    where = f"called on a {kind} node (kind: {kind}), but only makes sense on {wanted}"
    return f'func called on wrong kind: "{method}" {where}'


def _pb_value(data: bytes) -> Value:
    try:
        node = dagpb.decode(data)
    except Malformed as error:
        raise BadContent(str(error)) from None
    listed: list[Value] = [
        {"Hash": CidLink(link.cid), "Name": link.name.decode("utf-8", "replace"), "Tsize": link.tsize}
        for link in node.links
    ]
    return {"Data": None if node.data is None else bytes(node.data), "Links": listed}


def _pb_block(value: Value) -> bytes:
    """In dag-pb's canonical form: links sorted by name, stably."""
    if not isinstance(value, dict):
        raise InvalidArgument(f"dag-pb: a {kind_of(value)} is no node")
    for key in value:
        if key not in ("Data", "Links"):
            raise InvalidArgument(f'invalid key for map dagpb.PBNode: "{key}": no such field')
    data, listed = value.get("Data"), value.get("Links")
    if not isinstance(listed, list):
        raise InvalidArgument("missing required fields: Links")
    if data is not None and not isinstance(data, bytes):
        raise InvalidArgument("dag-pb: Data must be bytes")
    made = sorted((_pb_link(item) for item in listed), key=lambda link: link.name)
    tail = b"" if data is None else prefix(dagpb.DATA, len(data)) + data
    return dagpb.encode_links(made) + tail


def _pb_link(item: Value) -> Link:
    if not isinstance(item, dict):
        raise InvalidArgument("dag-pb: a link must be a map")
    for key in item:
        if key not in ("Hash", "Name", "Tsize"):
            raise InvalidArgument(f'invalid key for map dagpb.PBLink: "{key}": no such field')
    target, name, tsize = item.get("Hash"), item.get("Name", ""), item.get("Tsize", 0)
    if not isinstance(target, CidLink):
        raise InvalidArgument("missing required fields: Hash")
    if not isinstance(name, str) or not isinstance(tsize, int):
        raise InvalidArgument("dag-pb: Name must be a string, Tsize a number")
    return Link(name.encode(), target.cid, tsize)
