"""What the pin commands take, and Kubo's shapes for what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ipfs_cluster import Progress
from ipfs_cluster.errors import ClusterError, InvalidArgument
from ipfs_cluster.model import PinMode
from ipfs_proxy.rpc.run import Answer, CidText
from ipfs_proxy.wire import gojson, goxml
from ipfs_proxy.wire.params import Option, Params

ARGUMENT = "ipfs-path"
NO_XML = "xml: unsupported type: map[string]pin.PinLsType"
"""Go's encoder cannot write this type; so much is to be compatible with."""
TYPES = ("direct", "indirect", "recursive", "all")

ADD = (
    Option("recursive", bool, ("r",), True),
    Option("name", str, ("n",)),
    Option("progress", bool),
    Option("fast-provide-root", bool),
    Option("fast-provide-dag", bool),
    Option("fast-provide-wait", bool),
)
RM = (Option("recursive", bool, ("r",), True),)
LS = (
    Option("type", str, ("t",), "all"),
    Option("quiet", bool, ("q",)),
    Option("name", str, ("n",)),
    Option("stream", bool, ("s",)),
    Option("names", bool),
)
UPDATE = (
    Option("unpin", bool, (), True),
    Option("fast-provide-root", bool),
    Option("fast-provide-dag", bool),
    Option("fast-provide-wait", bool),
)
VERIFY = (Option("verbose", bool), Option("quiet", bool, ("q",)))

Line = tuple[str, str, str]
"""A pin as listings have it: the usual text of its CID, type, name."""


async def at_once(pages: AsyncIterator[list[Line]]) -> AsyncIterator[list[Line]]:
    """One sorted page, each CID once: a single value fails before its head or not at all."""
    lines = {line[0]: line async for page in pages for line in page}
    yield [lines[text] for text in sorted(lines)]


async def write_listing(
    answer: Answer, params: Params, pages: AsyncIterator[list[Line]], show: CidText, *, names: bool
) -> None:
    """All three forms: values a line, one object with sorted keys, text. The head goes out with the first page, so
    that an error before it is a proper one."""
    stream = params.flag("stream")
    text, xml = answer.encoding == "text", answer.encoding == "xml"
    opening, between, closing = (b"", b"", b"") if text or stream else (b'{"Keys":{', b",", b"}}\n")
    empty = b"" if text or stream else b"{}\n"
    quiet = params.flag("quiet")
    first = True
    async for page in pages:
        if not page:
            continue
        if not show.plain:
            page = [(show.respelled(line[0]), *line[1:]) for line in page]
        if text:
            body = _text_lines(page, names=names, quiet=quiet)
        elif stream:
            body = "".join([_stream_line(line, names=names) for line in page]).encode("utf-8", "replace")
        else:
            body = ",".join([_key(line, names=names) for line in page]).encode("utf-8", "replace")
        await answer.begin(stream=stream)
        if xml:
            raise ClusterError(NO_XML)
        await answer.write((opening if first else between) + body)
        first = False
    await answer.begin(stream=stream)
    if xml and not stream:
        raise ClusterError(NO_XML)
    await answer.write(empty if first else closing)
    await answer.end()


def _stream_line(line: Line, *, names: bool) -> str:
    text, kind, name = line
    named = f'"Name":{gojson.string(name)},' if names and name else ""
    return f'{{"Cid":"{text}",{named}"Type":"{kind}"}}\n'


def _key(line: Line, *, names: bool) -> str:
    text, kind, name = line
    return f'"{text}":{{"Type":"{kind}","Name":{gojson.string(name) if names else chr(34) * 2}}}'


def _text_lines(page: Sequence[Line], *, names: bool, quiet: bool) -> bytes:
    lines = [
        text if quiet else f"{text} {kind} {name}" if names and name else f"{text} {kind}" for text, kind, name in page
    ]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def pins(shown: Sequence[str], encoding: str) -> bytes:
    if encoding == "xml":
        return f"<PinOutput>{_xml_pins(shown)}</PinOutput>".encode()
    return gojson.value({"Pins": list(shown)})


def verified(cid: str, bad: Sequence[tuple[str, str]] | None, *, quiet: bool, encoding: str) -> bytes:
    """A value of `pin/verify`. bad: blocks and what is wrong with them; None for a pin that is well."""
    nodes = [{"Cid": block, "Err": why} for block, why in bad or ()]
    if encoding == "xml":
        return goxml.element("PinVerifyRes", {"Cid": cid, "Err": "", "Ok": bad is None, "BadNodes": nodes}).encode()
    if encoding == "text":
        lines = [f"  {block}: {why}" for block, why in bad or () if not quiet]
        first = f"{cid} ok" if bad is None else cid if quiet else f"{cid} broken"
        return ("\n".join([first, *lines]) + "\n").encode("utf-8", "replace")
    if bad is None:
        return gojson.value({"Cid": cid, "Ok": True})
    return gojson.value({"Cid": cid} if quiet else {"Cid": cid, "BadNodes": nodes})


def check_verify(params: Params) -> tuple[bool, bool]:
    """`verbose` and `quiet`. Raises InvalidArgument."""
    verbose, quiet = params.flag("verbose"), params.flag("quiet")
    if verbose and quiet:
        raise InvalidArgument("the --verbose and --quiet options can not be used at the same time")
    return verbose, quiet


def added(shown: Sequence[str], encoding: str) -> bytes:
    if encoding == "xml":
        return f"<AddPinOutput>{_xml_pins(shown)}<Progress>0</Progress><Bytes>0</Bytes></AddPinOutput>".encode()
    return pins(shown, encoding)


def _xml_pins(shown: Sequence[str]) -> str:
    return "".join(f"<Pins>{text}</Pins>" for text in shown)


def pinned_text(shown: Sequence[str], mode: PinMode) -> bytes:
    word = "recursively" if mode is PinMode.RECURSIVE else "directly"
    return "".join(f"pinned {text} {word}\n" for text in shown).encode()


def progress(progress: Progress, encoding: str) -> bytes:
    if encoding == "text":
        return b""
    if encoding == "xml":
        counts = f"<Progress>{progress.nodes}</Progress><Bytes>{progress.bytes}</Bytes>"
        return f"<AddPinOutput>{counts}</AddPinOutput>".encode()
    fields = {"Progress": progress.nodes, "Bytes": progress.bytes}
    return gojson.value({name: value for name, value in fields.items() if value})
