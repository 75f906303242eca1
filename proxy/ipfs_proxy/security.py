"""What a service has of security: users, certificates and the audit log of its doors, from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ipfs_cluster.security.audit import AuditLog
from ipfs_cluster.security.checks import Gatekeeper
from ipfs_cluster.security.tls import ServerTls, TlsError
from ipfs_cluster.settings import Settings, SettingsError, users_of
from ipfs_cluster.settings.api import contradictions

PROXY, REST = "api.ipfsproxy", "api.restapi"


@dataclass(slots=True)
class Door:
    """One door's. tls: None for a door that speaks plain HTTP."""

    gatekeeper: Gatekeeper
    tls: ServerTls | None


@dataclass(slots=True)
class Security:
    """`close` at the end."""

    proxy: Door
    rest: Door
    audit: AuditLog

    @classmethod
    def of(cls, folder: Path, settings: Settings) -> Security:
        """That of a data folder, which names of files are relative to. Raises TlsError, OSError."""
        return cls(_door(folder, settings, PROXY), _door(folder, settings, REST), AuditLog(_audit(folder, settings)))

    def check(self, folder: Path, settings: Settings) -> None:
        """Whether `apply` can be done. Raises SettingsError, OSError."""
        # What waits for a restart, such as addresses, still holds: it must go with what changes at once.
        if problems := contradictions(settings.values):
            raise SettingsError("\n".join(problems))
        for door in (self.proxy, self.rest):
            if door.tls is not None:
                try:
                    door.tls.check()
                except TlsError as error:
                    raise SettingsError(str(error)) from None
        AuditLog(_audit(folder, settings)).close()

    def apply(self, folder: Path, settings: Settings) -> None:
        """Other users, certificates read again, the audit log opened again. Whether a door speaks TLS at all, and from
        which files, is decided at the start. The proxy's plans have to be forgotten after it. Raises as `check`.
        """
        for door, section in ((self.proxy, PROXY), (self.rest, REST)):
            if door.tls is not None:
                door.tls.reload()
            door.gatekeeper.replace(users_of(settings.values, section))
        self.rest.gatekeeper.token_ttl = settings[f"{REST}.token_ttl"]
        self.audit.reopen(_audit(folder, settings))

    def close(self) -> None:
        """Threads and files."""
        for door in (self.proxy, self.rest):
            door.gatekeeper.close()
        self.audit.close()


def _door(folder: Path, settings: Settings, section: str) -> Door:
    chain = settings[f"{section}.ssl_cert_file"]
    tls = ServerTls(folder / chain, folder / settings[f"{section}.ssl_key_file"]) if chain else None
    gatekeeper = Gatekeeper(users_of(settings.values, section))
    if section == REST:
        gatekeeper.token_ttl = settings[f"{REST}.token_ttl"]
    return Door(gatekeeper, tls)


def _audit(folder: Path, settings: Settings) -> Path | None:
    name = settings["api.audit_log"]
    return folder / name if name else None
