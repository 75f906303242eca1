"""Which events of a command report roots, by what went into its body. Sans-IO; one class a command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.cid import Cid
from ipfs_cluster.errors import InvalidCid, NodeError
from ipfs_cluster.ingest.model import Line, Proof
from ipfs_cluster.wire.multipart import EntryNames, MultipartError, MultipartParser, Part

_HASH = b'"Hash":"'


def decoded(raw: bytes) -> Mapping[str, Any]:
    """An event. Raises NodeError for an error value and for what is no event."""
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise NodeError(f"the node sent something that is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise NodeError(f"the node sent something that is no event: {raw[:80]!r}")
    if value.get("Type") == "error":
        raise NodeError(str(value.get("Message", "")))
    return value


def parsed(text: str) -> Cid:
    """A CID that a node reported. Raises NodeError."""
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise NodeError(f"the node reported {text!r} as added, which is no CID: {error}") from error


class AddRoots:
    """`add`: a root is the event that closes a top-level entry of the upload; with wrapping, the unnamed one."""

    proof = Proof.NEXT

    def __init__(self, boundary: bytes | None, *, wrap: bool, directories: bool) -> None:
        """boundary: of the multipart body, None when the request has none (the node will say so). directories: also
        remember the names of directories, for `is_directory`.
        """
        self.names = EntryNames(directories=directories)
        self._wrap = wrap
        self._parser = MultipartParser(boundary) if boundary else None
        self.broken = ""

    def saw(self, piece: bytes) -> None:
        if self._parser is None:
            return
        try:
            for event in self._parser.feed(piece):
                if isinstance(event, Part):
                    self.names.add(event)
        except MultipartError as error:
            # The daemon will say what is wrong; if it does not, the roots are unknown and the add fails.
            self.broken, self._parser = str(error), None

    def follow(self) -> _AddFollower:
        return _AddFollower(self, wrap=self._wrap)


class _AddFollower:
    def __init__(self, body: AddRoots, *, wrap: bool) -> None:
        self._body = body
        self._names = body.names
        self._wrap = wrap
        self._roots = 0

    def finish(self) -> None:
        expected = 1 if self._wrap else len(self._names.entries)
        if self._body.broken or self._roots != expected:
            raise NodeError(
                self._body.broken
                or f"the node reported {self._roots} of the {expected} roots that the upload seems to have; "
                "what it pinned is unknown"
            )

    def line(self, raw: bytes) -> Line:
        if _HASH not in raw:
            # Progress, or something that a later daemon invents: shown to those who asked for it.
            return Line(raw, decoded(raw) if b'"Type":"error"' in raw else None)
        event = decoded(raw)
        digest, name = event.get("Hash"), event.get("Name", "")
        if not digest or not self._is_root(name, digest):
            return Line(raw, event)
        self._roots += 1
        return Line(raw, event, parsed(digest))

    def _is_root(self, name: str, digest: str) -> bool:
        if self._wrap:
            return name == ""
        if self._roots >= len(self._names.entries):
            return False
        expected = self._names.entries[self._roots]
        return name == (digest if expected is None else expected)


class PutRoots:
    """`block/put` and `dag/put`: every event is a root. field: where its CID is."""

    def __init__(self, proof: Proof, field: str) -> None:
        self.proof = proof
        self._field = field

    def saw(self, piece: bytes) -> None:
        """The events tell all."""

    def follow(self) -> PutRoots:
        return self

    def line(self, raw: bytes) -> Line:
        event = decoded(raw)
        value = event.get(self._field)
        text = value.get("/") if isinstance(value, dict) else value
        return Line(raw, event, parsed(text) if isinstance(text, str) else None)

    def finish(self) -> None:
        """Nothing to check."""


class ImportRoots:
    """`dag/import`: the roots that could be pinned; one that could not has its reason in PinErrorMsg."""

    proof = Proof.END

    def saw(self, piece: bytes) -> None:
        """The events tell all."""

    def follow(self) -> ImportRoots:
        return self

    def line(self, raw: bytes) -> Line:
        event = decoded(raw)
        root = event.get("Root")
        if not isinstance(root, dict) or root.get("PinErrorMsg"):
            return Line(raw, event)
        text = (root.get("Cid") or {}).get("/")
        return Line(raw, event, parsed(text) if isinstance(text, str) else None)

    def finish(self) -> None:
        """Nothing to check."""


class CarRoots(ImportRoots):
    """`dag/import` of a body whose first part is the CAR. name: of that part, once it was seen."""

    def __init__(self, boundary: bytes) -> None:
        self.name = ""
        self._parser: MultipartParser | None = MultipartParser(boundary)

    def saw(self, piece: bytes) -> None:
        if self._parser is None:
            return
        try:
            part = next((event for event in self._parser.feed(piece) if isinstance(event, Part)), None)
        except MultipartError:
            self._parser = None  # the daemon will say what is wrong
            return
        if part is not None:
            self.name, self._parser = part.filename or "", None


class Unpinned:
    """Any command that was told to pin nothing: no event reports a root."""

    proof = Proof.REPORT

    def saw(self, piece: bytes) -> None:
        """Nothing to find."""

    def follow(self) -> Unpinned:
        return self

    def line(self, raw: bytes) -> Line:
        return Line(raw, decoded(raw))

    def finish(self) -> None:
        """Nothing to check."""


__all__ = ["AddRoots", "CarRoots", "ImportRoots", "PutRoots", "Unpinned", "decoded", "parsed"]
