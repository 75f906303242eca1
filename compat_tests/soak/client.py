"""One request of a storm over HTTP, and what its answer says about the pinset."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from compat_tests.harness.http import Answer, multipart, parse
from compat_tests.soak.model import ABSENT, ADDING, DIRECT, RECURSIVE, Fate
from compat_tests.soak.plan import Step

NOT_PINNED = "not pinned or pinned indirectly"


class NotSent(Exception):
    """Nobody listens: the request cannot have had an effect."""


async def exchange(address: tuple[str, int], request: bytes, leave: float | None = None) -> bytes:
    """Everything that comes back until the connection ends, or until `leave` seconds are over. Raises NotSent."""
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError as error:
        raise NotSent(str(error)) from None
    out = bytearray()
    try:
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(leave):
                writer.write(request)
                while data := await reader.read(65536):
                    out += data
    finally:
        writer.transport.abort()
    return bytes(out)


def encode(step: Step) -> bytes:
    """The request of a step."""
    if step.command == "status":
        return f"GET /pins/{step.arguments[0]} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n".encode()
    fields, body = multipart(*step.parts) if step.parts else ({}, b"")
    query = urlencode(step.query)
    head = f"POST /api/v0/{step.command}{'?' if query else ''}{query} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answered(data: bytes, step: Step) -> Answer | None:
    """The answer, None when it did not come whole. An add's lines count as they came, so a cut one is an answer too."""
    if b"\r\n\r\n" not in data:
        return None
    answer = parse(data, "GET" if step.command == "status" else "POST")
    return None if answer.cut and step.command not in ADDING else answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """fates: of each change of the step. told: (CID, values) that the answer says it has."""

    fates: tuple[Fate, ...]
    told: tuple[tuple[str, frozenset[str]], ...] = ()


def judge(step: Step, answer: Answer | None, universe: frozenset[str], missing: frozenset[str]) -> Verdict:
    """What the answer says. Raises AssertionError for one that no request may get."""
    if answer is None:
        return Verdict((Fate.LOST,) * len(step.changes))
    match step.command:
        case "add" | "block/put":
            return _added(step, answer)
        case "pin/ls":
            return _listed(step, answer, universe)
        case "status":
            assert answer.status == 200, answer.text
            return Verdict(())
    if answer.status == 200 and '"Type":"error"' not in answer.text and not answer.trailers.get("x-stream-error"):
        assert all(cid in answer.text for cid in step.arguments), f"{step}: answered {answer.text}"
        return Verdict((Fate.SURE,) * len(step.changes))
    return _refused(step, answer.text, missing)


def _refused(step: Step, text: str, missing: frozenset[str]) -> Verdict:
    fates: list[Fate] = []
    for cid, value in step.changes:
        undone = cid in missing and value == RECURSIVE and len(step.changes) == 1
        # An update that fails keeps the old pin. Only a deadline may strike when all has been done already.
        undone |= step.command == "pin/update" and value == ABSENT and not step.option("timeout")
        fates.append(Fate.UNDONE if undone else Fate.UNSURE)
    told: list[tuple[str, frozenset[str]]] = []
    first, *others = step.arguments
    if not others and NOT_PINNED in text:
        told.append((first, frozenset({ABSENT})))
        fates = [Fate.UNDONE]
    elif not others and ("is pinned recursively" in text or "already pinned recursively" in text):
        told.append((first, frozenset({RECURSIVE})))
        fates = [Fate.UNDONE]
    elif "'to' cid was already recursively pinned" in text:
        told.append((others[0], frozenset({RECURSIVE})))
    elif "'from' cid was not recursively pinned already" in text:
        told.append((first, frozenset({ABSENT, DIRECT})))
    return Verdict(tuple(fates), tuple(told))


def _added(step: Step, answer: Answer) -> Verdict:
    events = list(_events(answer))
    reported = {(event.get("Name", ""), event.get("Hash") or event.get("Key")) for event in events}
    known = dict(step.roots)
    for name, cid in reported:
        assert known.get(name, cid) == cid, f"{step}: {name} was reported as {cid}"
    pinned = {cid for _, cid in reported}
    failed = answer.status != 200 or answer.trailers.get("x-stream-error") or any("Message" in one for one in events)
    if not failed and not answer.cut:
        assert all(cid in pinned for cid, _ in step.changes), f"{step}: answered {answer.text}"
    open_end = Fate.LOST if answer.cut else Fate.UNSURE
    return Verdict(tuple(Fate.SURE if cid in pinned else open_end for cid, _ in step.changes))


def _events(answer: Answer) -> Iterator[dict[str, str]]:
    *lines, last = answer.body.split(b"\n")
    for line in [*lines, b"" if answer.cut else last]:
        if line:
            yield json.loads(line)


def _listed(step: Step, answer: Answer, universe: frozenset[str]) -> Verdict:
    kind = step.option("type")
    others = frozenset({RECURSIVE, DIRECT, ABSENT} - {kind})
    if step.arguments:
        (cid,) = step.arguments
        assert answer.status == 200 or "is not pinned" in answer.text, f"{step}: {answer.text}"
        return Verdict((), ((cid, frozenset({kind}) if answer.status == 200 else others),))
    assert answer.status == 200, f"{step}: {answer.text}"
    values = [json.loads(line) for line in answer.text.splitlines() if line]
    streamed = step.option("stream") == "true"
    found = {value["Cid"] for value in values} if streamed else set(values[0].get("Keys") or {})
    assert found <= universe, f"{step}: nobody ever pinned {sorted(found - universe)}"
    return Verdict((), tuple((cid, frozenset({kind}) if cid in found else others) for cid in universe))
