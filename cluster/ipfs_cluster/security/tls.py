"""TLS at the doors: one context for a door's listeners, whose certificate can be replaced while they listen."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

HANDSHAKE_TIMEOUT = 10.0
SHUTDOWN_TIMEOUT = 5.0
"""Seconds that a client gets to greet, and to say good-bye."""


class TlsError(ValueError):
    """A certificate or its key cannot be used; the message says which and why."""


class ServerTls:
    """A certificate with its chain and its key, in PEM. At least TLS 1.2."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Raises TlsError."""
        self._chain = chain
        self._key = key
        self.context = _context()
        self.reload()

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of an event loop's `create_server` that make its connections speak TLS."""
        return {
            "ssl": self.context,
            "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
            "ssl_shutdown_timeout": SHUTDOWN_TIMEOUT,
        }

    def check(self) -> None:
        """Whether the files can be used. Raises TlsError."""
        _load(_context(), self._chain, self._key)

    def reload(self) -> None:
        """Read the files again, for connections from now on. Raises TlsError; then the old certificate stays."""
        self.check()
        _load(self.context, self._chain, self._key)


def client_tls(ca_file: str = "") -> ssl.SSLContext:
    """For connections to servers, whose certificates are checked. ca_file: those to trust, empty for the system's.
    Raises TlsError.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise TlsError(f"the TLS certificates {ca_file} cannot be used: {error.strerror or error}") from None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, chain: Path, key: Path) -> None:
    for path, what in ((chain, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsError(f"the TLS {what} {path} cannot be read: {error.strerror}") from None
    try:
        # Without a password given here OpenSSL would ask for one on the terminal.
        context.load_cert_chain(chain, key, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "no PEM, or the key has a password"
        raise TlsError(f"the TLS certificate {chain} cannot be used with the key {key}: {reason}") from None
