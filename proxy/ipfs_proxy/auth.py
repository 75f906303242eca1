"""`ipfs-cluster-service auth`: secrets as the configuration keeps them. Nothing secret is ever an argument."""

from __future__ import annotations

import argparse
import secrets
import sys

from ipfs_cluster.security.stored import hash_password, hash_token
from ipfs_proxy.console import Failure, asked, say

TOKEN_BYTES = 32


def add_auth_commands(parser: argparse.ArgumentParser) -> None:
    """Fill in the subcommands."""
    commands = parser.add_subparsers(dest="auth", required=True, metavar="COMMAND")
    commands.add_parser("password", help="hash a password, asked for or read from standard input")
    commands.add_parser("token", help="make a random token and its hash")


def run_auth(arguments: argparse.Namespace) -> None:
    """Do one of them. Raises Failure."""
    if arguments.auth == "token":
        token = secrets.token_urlsafe(TOKEN_BYTES)
        say(f"token, for the client: {token}")
        say(f"AuthSecret, for the configuration: bearer:{hash_token(token)}")
        return
    say(hash_password(_password(), secrets.token_bytes(16)))


def _password() -> str:
    if sys.stdin.isatty():
        password = asked("password: ")
        if asked("again: ") != password:
            raise Failure("the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Failure("an empty password protects nothing")
    return password
