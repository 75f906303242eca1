"""identity.json: made once, checked always, and the same format as ipfs-cluster's."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ipfs_cluster.identity import IdentityError, create, decode, load_or_create

# The first test vector of RFC 8032 (7.1); its peer ID as Kubo 0.43 prints it (`ipfs key import --ipns-base=b58mh`).
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
KEY = base64.b64encode(b"\x08\x01\x12\x40" + SEED + PUBLIC).decode()
SECP256K1 = base64.b64encode(b"\x08\x02\x12\x20" + bytes(range(32))).decode()
NO_RSA = base64.b64encode(b"\x08\x00\x12\x20" + bytes(range(32))).decode()
OTHER_HALF = base64.b64encode(b"\x08\x01\x12\x40" + SEED + bytes(32)).decode()
PEER_ID = "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV"


def test_the_form_is_libp2ps() -> None:
    identity = decode(PEER_ID, KEY)
    assert identity.id == PEER_ID
    assert base64.b64encode(identity.private_key).decode() == KEY


def test_a_new_identity_is_an_ed25519_key_with_its_id() -> None:
    identity = create()
    assert identity.id.startswith("12D3KooW")
    assert identity.private_key[:4] == b"\x08\x01\x12\x40"
    public = Ed25519PrivateKey.from_private_bytes(identity.private_key[4:36]).public_key().public_bytes_raw()
    assert identity.private_key[36:] == public
    assert create().id != identity.id


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "identity.json"
    made = load_or_create(path)
    assert load_or_create(path) == made
    document = json.loads(path.read_text())
    assert list(document) == ["id", "private_key"]
    assert decode(document["id"], document["private_key"]) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["identity.json"]


def test_a_file_of_ipfs_cluster_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    content = f'{{\n    "id": "{PEER_ID}",\n    "private_key": "{KEY}"\n}}'
    path.write_text(content)
    assert load_or_create(path).id == PEER_ID
    assert path.read_text() == content


def test_the_environment_wins_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    assert load_or_create(path, {"CLUSTER_ID": PEER_ID, "CLUSTER_PRIVATEKEY": KEY}).id == PEER_ID
    assert not path.exists()
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    assert load_or_create(path, {"CLUSTER_ID": PEER_ID, "CLUSTER_PRIVATEKEY_FILE": str(key)}).id == PEER_ID
    assert not path.exists()
    with pytest.raises(IdentityError, match=r"CLUSTER_PRIVATEKEY_FILE: .*No such file"):
        load_or_create(path, {"CLUSTER_ID": PEER_ID, "CLUSTER_PRIVATEKEY_FILE": str(tmp_path / "no")})


def test_the_key_is_never_shown() -> None:
    assert repr(decode(PEER_ID, KEY)) == f"Identity({PEER_ID})"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not an identity file"),
        ("[]", "not an identity file"),
        ("{}", "not an identity file"),
        (json.dumps({"id": PEER_ID, "private_key": 5}), "not an identity file"),
        (json.dumps({"id": PEER_ID, "private_key": "%%%"}), "the private key is no base64"),
        (json.dumps({"id": PEER_ID, "private_key": SECP256K1}), "no ed25519 or RSA key"),
        (json.dumps({"id": PEER_ID, "private_key": NO_RSA}), "no ed25519 or RSA key"),
        (json.dumps({"id": PEER_ID, "private_key": OTHER_HALF}), "no ed25519 or RSA key"),
        (json.dumps({"id": PEER_ID, "private_key": KEY[:-8]}), "no ed25519 or RSA key"),
        (json.dumps({"id": PEER_ID[:-1] + "x", "private_key": KEY}), "does not belong to the id"),
    ],
)
def test_a_wrong_file_is_named_and_left_alone(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "identity.json"
    path.write_text(content)
    with pytest.raises(IdentityError) as caught:
        load_or_create(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)
    assert KEY not in str(caught.value)
    assert path.read_text() == content
