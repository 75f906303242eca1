"""Peer identities: keys in libp2p's form, compatible with ipfs-cluster's identity.json.

New ones are ed25519; the RSA keys that ipfs-cluster made until 2019 load too, so that a cluster keeps its peer IDs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from ipfs_cluster.cid import base58
from ipfs_cluster.model import PeerId

_RSA, _ED25519 = 0, 1
"""libp2p's KeyType."""
_INLINE = 42
"""Bytes of a public key up to which it is itself in the peer ID; of longer ones it is the SHA-256 hash."""


class IdentityError(Exception):
    """An identity file cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A peer's ID and its private key (libp2p protobuf bytes)."""

    id: PeerId
    private_key: bytes

    def __repr__(self) -> str:
        return f"Identity({self.id})"


def create() -> Identity:
    """A new random identity."""
    key = Ed25519PrivateKey.generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    return Identity(_peer_id(_message(_ED25519, public)), _message(_ED25519, seed + public))


def decode(peer_id: str, private_key: str) -> Identity:
    """Check an ID and its base64 key against each other. Raises IdentityError."""
    try:
        raw = base64.b64decode(private_key, validate=True)
    except binascii.Error as error:
        raise IdentityError(f"the private key is no base64: {error}") from None
    public = _public_key(raw)
    if public is None:
        raise IdentityError("the private key is no ed25519 or RSA key in libp2p's form")
    if _peer_id(public) != peer_id:
        raise IdentityError("the private key does not belong to the id")
    return Identity(PeerId(peer_id), raw)


def _message(kind: int, data: bytes) -> bytes:
    """libp2p's PublicKey or PrivateKey: protobuf {1: kind, 2: data}."""
    size = bytearray()
    left = len(data)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    size.append(left)
    return b"\x08" + bytes([kind]) + b"\x12" + size + data


def _public_key(private: bytes) -> bytes | None:
    """libp2p's PublicKey of a PrivateKey; None for what is none, or of another kind."""
    for kind, public_of in ((_ED25519, _ed25519), (_RSA, _rsa)):
        for size in (1, 2):  # bytes of the length: up to 127, up to 16383
            data = private[3 + size :]
            if data and private == _message(kind, data):
                public = public_of(data)
                return None if public is None else _message(kind, public)
    return None


def _ed25519(data: bytes) -> bytes | None:
    """data: seed and public key."""
    if len(data) != 64:
        return None
    public = Ed25519PrivateKey.from_private_bytes(data[:32]).public_key().public_bytes_raw()
    return public if data[32:] == public else None


def _rsa(data: bytes) -> bytes | None:
    """data: PKCS #1, DER."""
    try:
        key = load_der_private_key(data, password=None)
    except (ValueError, TypeError):
        return None
    if not isinstance(key, RSAPrivateKey):
        return None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _peer_id(public: bytes) -> PeerId:
    """base58 of a multihash of the protobuf public key: 12D3Koo… (identity), Qm… (SHA-256)."""
    if len(public) <= _INLINE:
        return PeerId(base58(b"\x00" + bytes([len(public)]) + public))
    return PeerId(base58(b"\x12\x20" + hashlib.sha256(public).digest()))


def load_or_create(path: Path, environ: Mapping[str, str] | None = None) -> Identity:
    """The identity in a file, made on first use (mode 0600). CLUSTER_ID and CLUSTER_PRIVATEKEY, or the file that
    CLUSTER_PRIVATEKEY_FILE names, win.

    Raises IdentityError.
    """
    environ = environ or {}
    if "CLUSTER_ID" in environ and (key := _environment_key(environ)) is not None:
        return decode(environ["CLUSTER_ID"], key)
    if not path.exists():
        identity = create()
        _write(path, identity)
        return identity
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return decode(document["id"], document["private_key"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IdentityError(f"{path}: not an identity file: {error}") from None
    except IdentityError as error:
        raise IdentityError(f"{path}: {error}") from None


def _environment_key(environ: Mapping[str, str]) -> str | None:
    if (key := environ.get("CLUSTER_PRIVATEKEY")) is not None:
        return key
    if (file := environ.get("CLUSTER_PRIVATEKEY_FILE")) is None:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise IdentityError(f"CLUSTER_PRIVATEKEY_FILE: {file}: {error.strerror}") from None


def _write(path: Path, identity: Identity) -> None:
    """Whole or not at all: a half-written identity would lock the peer out of its own pins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    content = {"id": identity.id, "private_key": base64.b64encode(identity.private_key).decode()}
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
