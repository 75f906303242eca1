"""Who may do what at every door: credentials, roles, tokens, TLS, the audit log. The deciding parts are sans-IO."""

from __future__ import annotations

from ipfs_cluster.security.guard import Check, Denied, Guard, Identity, Reason
from ipfs_cluster.security.roles import EVERYTHING, Role
from ipfs_cluster.security.users import User

__all__ = ["EVERYTHING", "Check", "Denied", "Guard", "Identity", "Reason", "Role", "User"]
