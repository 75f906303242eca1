"""Peer identities: ed25519 keys in libp2p's form, compatible with ipfs-cluster's identity.json."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ipfs_cluster.cid import base58
from ipfs_cluster.model import PeerId

_KEY_HEAD = b"\x08\x01\x12\x40"  # libp2p PrivateKey{Type: Ed25519, Data: 64 bytes}
_PUBLIC_HEAD = b"\x08\x01\x12\x20"  # libp2p PublicKey{Type: Ed25519, Data: 32 bytes}


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
    return Identity(_peer_id(public), _KEY_HEAD + seed + public)


def _peer_id(public: bytes) -> PeerId:
    """base58 of the identity multihash of the protobuf public key: 12D3Koo…"""
    key = _PUBLIC_HEAD + public
    return PeerId(base58(b"\x00" + bytes([len(key)]) + key))


def decode(peer_id: str, private_key: str) -> Identity:
    """Check an ID and its base64 key against each other. Raises IdentityError."""
    try:
        raw = base64.b64decode(private_key, validate=True)
    except binascii.Error as error:
        raise IdentityError(f"the private key is no base64: {error}") from None
    if len(raw) != 68 or not raw.startswith(_KEY_HEAD):
        raise IdentityError("the private key is no ed25519 key in libp2p's form")
    public = Ed25519PrivateKey.from_private_bytes(raw[4:36]).public_key().public_bytes_raw()
    if public != raw[36:] or _peer_id(public) != peer_id:
        raise IdentityError("the private key does not belong to the id")
    return Identity(PeerId(peer_id), raw)


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
