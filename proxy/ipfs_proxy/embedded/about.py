"""`version`, `id`, `commands`: what an embedded node says about itself."""

from __future__ import annotations

import base64
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.addresses import is_peer_id
from ipfs_cluster.errors import NodeError
from ipfs_cluster.identity import Identity
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.wire.params import Option

KUBO = "0.43.0"
"""The version of Kubo whose RPC API is spoken here; clients parse it strictly."""
AGENT = f"kubo/{KUBO}/embedded"
"""With the suffix that Kubo has for telling variants apart (`--agent-version-suffix`)."""
COMMIT = "embedded"
REPO = "18"
LIBP2P_KEY = 0x72

VERSION = (Option("number", bool, ("n",)), Option("commit", bool), Option("repo", bool), Option("all", bool))
ID = (Option("format", str, ("f",)), Option("peerid-base", str, (), "b58mh"))
COMMANDS = (Option("flags", bool, ("f",)),)
GLOBAL = (
    "repo-dir",
    "config-file",
    "config c",
    "debug D",
    "help",
    "h",
    "local L",
    "offline",
    "api",
    "api-auth",
    "cid-base",
    "upgrade-cidv0-in-output",
    "encoding enc",
    "stream-channels",
    "timeout",
)
"""The options of every command, as `commands` lists them."""


def about_entries(
    identity: Identity, addresses: Callable[[], Sequence[str]], entries: Mapping[str, Entry]
) -> dict[str, Entry]:
    """The table of these commands. addresses: multiaddresses of this door, without the peer ID. entries: what
    `commands` lists.
    """
    about = About(identity, addresses, entries)
    return {
        "version": Entry(about.version, VERSION),
        "id": Entry(about.id, ID),
        "commands": Entry(about.commands, COMMANDS),
    }


class About:
    """The handlers."""

    def __init__(
        self, identity: Identity, addresses: Callable[[], Sequence[str]], entries: Mapping[str, Entry]
    ) -> None:
        self._identity = identity
        self._addresses = addresses
        self._entries = entries

    async def version(self, call: Call) -> None:
        """Kubo's version, with another commit."""
        system = f"{architecture()}/{sys.platform}"
        fields = {
            "Version": KUBO,
            "Commit": COMMIT,
            "Repo": REPO,
            "System": system,
            "Golang": f"python{platform.python_version()}",
        }
        await call.single(Shown(fields, "VersionInfo", _version_text(call, fields)))

    async def id(self, call: Call) -> None:
        """Of this node; nobody else is known."""
        own = str(self._identity.id)
        asked = call.arguments[0] if call.arguments else own
        if not is_peer_id(asked):
            raise NodeError("invalid peer id")
        if asked != own:
            raise NodeError("routing: not found")
        key = _public_key(self._identity)
        base = call.params.text("peerid-base") or "b58mh"
        # In another base it is a CID with the codec of libp2p keys, and the key itself as its identity multihash.
        peer = cids.make(LIBP2P_KEY, bytes((cids.IDENTITY, len(key))) + key)
        shown = own if base == "b58mh" else cids.text_in(peer, base)
        addresses = [f"{address}/p2p/{own}" for address in self._addresses()]
        fields: dict[str, Any] = {
            "ID": shown,
            "PublicKey": base64.b64encode(key).decode(),
            "Addresses": addresses or None,
            "AgentVersion": AGENT,
            "Protocols": None,
        }
        await call.single(Shown(fields, "IdOutput", _id_text(fields, call.params.text("format"))))

    async def commands(self, call: Call) -> None:
        """The commands that are here."""
        tree = _tree("ipfs", "", self._entries)
        tree["Options"] = [{"Names": names.split()} for names in GLOBAL]
        lines = sorted(_lines(tree, "ipfs", flags=call.params.flag("flags")))
        await call.single(Shown(tree, "Command", "".join(f"{line}\n" for line in lines)))


def architecture() -> str:
    """Go's name for this machine."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _version_text(call: Call, fields: Mapping[str, str]) -> str:
    if call.params.flag("all"):
        version = f"{fields['Version']}-{fields['Commit']}"
        names = {"Kubo version": version, "Repo version": REPO, "System version": fields["System"]}
        return "".join(f"{name}: {value}\n" for name, value in {**names, "Golang version": fields["Golang"]}.items())
    if call.params.flag("repo"):
        return f"{REPO}\n"
    version = KUBO + (f"-{COMMIT}" if call.params.flag("commit") else "")
    return f"{version}\n" if call.params.flag("number") else f"ipfs version {version}\n"


def _public_key(identity: Identity) -> bytes:
    """In libp2p's protobuf form, as an ed25519 peer ID contains it."""
    return b"\x08\x01\x12\x20" + identity.private_key[-32:]


def _id_text(fields: Mapping[str, Any], template: str | None) -> str:
    if not template:
        return json.dumps(fields, indent="\t", ensure_ascii=False) + "\n"
    names = {
        "id": "ID",
        "aver": "AgentVersion",
        "pubkey": "PublicKey",
    }
    for token, field in names.items():
        template = template.replace(f"<{token}>", str(fields[field]))
    template = template.replace("<addrs>", "\n".join(fields["Addresses"] or ()))
    template = template.replace("<protocols>", "\n".join(fields["Protocols"] or ()))
    return template.replace("\\n", "\n").replace("\\t", "\t")


def _tree(name: str, prefix: str, entries: Mapping[str, Entry]) -> dict[str, Any]:
    below = {command[len(prefix) :].split("/")[0] for command in entries if command.startswith(prefix)}
    entry = entries.get(prefix[:-1])
    return {
        "Name": name,
        "Subcommands": [_tree(child, f"{prefix}{child}/", entries) for child in sorted(below)],
        "Options": [{"Names": [option.name, *option.aliases]} for option in (entry.options if entry else ())],
    }


def _lines(tree: Mapping[str, Any], path: str, *, flags: bool) -> list[str]:
    lines = [path]
    if flags:
        spelled = [[f"--{name}" if len(name) > 1 else f"-{name}" for name in o["Names"]] for o in tree["Options"]]
        lines += [" / ".join(f"{path} {name}" for name in names) for names in spelled]
    for child in tree["Subcommands"]:
        lines += _lines(child, f"{path} {child['Name']}", flags=flags)
    return lines
