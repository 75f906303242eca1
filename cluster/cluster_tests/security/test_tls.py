"""Certificates: what cannot be used is named, and the old one stays."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ipfs_cluster.security.tls import ServerTls, TlsError
from ipfs_cluster.testing.certificates import make_certificate


def handshake(server: ssl.SSLContext, trusted: Path, **options: ssl.TLSVersion) -> str:
    """The version that client and server agree on, through memory; raises ssl.SSLError. trusted: the client's."""
    client = ssl.create_default_context(cafile=str(trusted))
    for name, value in options.items():
        setattr(client, name, value)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    version = here.version()
    assert version is not None
    return version


def test_at_least_tls_1_2(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    tls = ServerTls(chain, key)
    assert handshake(tls.context, chain) == "TLSv1.3"
    assert handshake(tls.context, chain, maximum_version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_certificate_is_replaced_while_the_context_is_used(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    tls = ServerTls(chain, key)
    old = tmp_path / "old.pem"
    old.write_bytes(chain.read_bytes())
    make_certificate(tmp_path)
    handshake(tls.context, old)
    tls.reload()
    handshake(tls.context, chain)
    with pytest.raises(ssl.SSLError):
        handshake(tls.context, old)


def test_files_that_do_not_work_leave_the_old_certificate(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    tls = ServerTls(chain, key)
    good = tmp_path / "good.pem"
    good.write_bytes(chain.read_bytes())
    other, _ = make_certificate(tmp_path / "other")
    locked = load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    plain = key.read_bytes()
    for content, which, reason in (
        (b"", key, "cannot be used"),
        (b"no PEM", chain, "cannot be used"),
        (other.read_bytes(), chain, "KEY_VALUES_MISMATCH"),
        (locked, key, "cannot be used"),
    ):
        before = which.read_bytes()
        which.write_bytes(content)
        with pytest.raises(TlsError) as caught:
            tls.reload()
        assert reason in str(caught.value)
        assert plain.decode().splitlines()[1] not in str(caught.value)
        which.write_bytes(before)
        handshake(tls.context, good)
    key.unlink()
    with pytest.raises(TlsError, match=r"the TLS key .* cannot be read: No such file"):
        tls.reload()
    with pytest.raises(TlsError, match=r"the TLS certificate .* cannot be read"):
        ServerTls(tmp_path / "none", key)
