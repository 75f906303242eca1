"""`files/*`: MFS as commands."""

from __future__ import annotations

import posixpath
from typing import Any

from ipfs_cluster import cid as cids
from ipfs_cluster.errors import ClusterError, InvalidArgument, NodeError
from ipfs_cluster.unixfs import Node as Dag
from ipfs_cluster.unixfs import read
from ipfs_cluster.unixfs.message import Kind
from ipfs_proxy.embedded import ipld
from ipfs_proxy.embedded.mfs import NO_FILE, Found, Mfs, checked, tsize_of
from ipfs_proxy.embedded.node import Node
from ipfs_proxy.embedded.paths import Resolver
from ipfs_proxy.embedded.reading import go_mode
from ipfs_proxy.embedded.table import Call, Entry, Shown
from ipfs_proxy.embedded.walks import walk
from ipfs_proxy.embedded.writing import CID, FLUSH, SYMLINKS, WRITE, Writing, number, settings
from ipfs_proxy.wire.params import Option

CP = (Option("force", bool), Option("parents", bool, ("p",)), FLUSH)
LS = (Option("long", bool, ("l",)), Option("U", bool), FLUSH)
MKDIR = (Option("parents", bool, ("p",)), FLUSH, *CID)
READ = (Option("offset", int, ("o",), None, "int64"), Option("count", int, ("n",), None, "int64"), FLUSH)
RM = (Option("recursive", bool, ("r",)), Option("force", bool), FLUSH)
FORMAT = (
    "<hash>\nSize: <size>\nCumulativeSize: <cumulsize>\nChildBlocks: <childs>\nType: <type>\n"
    "Mode: <mode> (<mode-octal>)\nMtime: <mtime>"
)
STAT = (
    Option("format", str, (), FORMAT),
    Option("hash", bool),
    Option("size", bool),
    Option("with-local", bool),
    FLUSH,
)


def files_entries(node: Node, mfs: Mfs) -> dict[str, Entry]:
    """The table of these commands."""
    files = Files(node, mfs)
    return {
        "files/cp": Entry(files.cp, CP, ("source", "dest")),
        "files/flush": Entry(files.flush, (FLUSH,)),
        "files/ls": Entry(files.ls, LS),
        "files/mkdir": Entry(files.mkdir, MKDIR, ("path",)),
        "files/mv": Entry(files.mv, (FLUSH,), ("source", "dest")),
        "files/read": Entry(files.read, READ, ("path",)),
        "files/rm": Entry(files.rm, RM, ("path",)),
        "files/stat": Entry(files.stat, STAT, ("path",)),
        "files/write": Entry(Writing(mfs).write, WRITE, ("path",), file="data"),
    }


class Files:
    """The handlers."""

    def __init__(self, node: Node, mfs: Mfs) -> None:
        self._node = node
        self._mfs = mfs

    # --- looking ---

    async def stat(self, call: Call) -> None:
        """Of a path in MFS, or below /ipfs."""
        params = call.params
        template = params.text("format") or FORMAT
        short = [name for name in ("hash", "size") if params.flag(name)]
        if len(short) + (template != FORMAT) > 1:
            text = "invalid parameters: format was set by multiple options. Only one format option is allowed"
            await call.answer.error(text, status=400, code=1)
            return
        path = checked(call.arguments[0])
        found = await self._outside(path) if path.startswith("/ipfs/") else await self._mfs.find(path)
        fields = await self._stat(found, call)
        if short:
            template = {"hash": "<hash>", "size": "<cumulsize>"}[short[0]]
        await call.single(Shown(_xml(fields, call), "statOutput", _filled(template, fields)))

    async def _outside(self, path: str) -> Found:
        cid = await self._mfs.resolver.cid(path)
        if cids.codec(cid) not in (cids.RAW, cids.DAG_PB):
            raise NodeError("not unixfs node (proto or raw)")
        return await self._mfs.opened(cid)

    async def _stat(self, found: Found, call: Call) -> dict[str, Any]:
        node, cid = found.node, found.link.cid
        size = await tsize_of(self._mfs.resolver, cid)
        fields: dict[str, Any] = {
            "Hash": call.show(cid),
            "Size": 0 if found.directory else node.size,
            "CumulativeSize": size,
            "Blocks": len(node.links),
            "Type": "directory" if found.directory else "file",
        }
        if call.params.flag("with-local"):
            here = await self._local(cid)
            fields |= {"WithLocality": True, "Local": here is None, "SizeLocal": size if here is None else here}
        if node.metadata.mtime is not None:
            seconds, nanos = node.metadata.mtime
            fields |= {name: value for name, value in (("Mtime", seconds), ("MtimeNsecs", nanos)) if value}
        mode = go_mode(node) or (0o1000000777 if node.kind is Kind.SYMLINK else 0)
        if mode:
            fields["Mode"] = f"{mode:o}" if mode > 0o777 else f"{mode:04o}"
        return fields

    async def _local(self, cid: cids.Cid) -> int | None:
        """Bytes of the blocks that are here, if some are missing; None if all are."""
        resolver, seen, linked, size = Resolver(self._node, offline=True), set[cids.Cid](), set[cids.Cid](), 0
        async for block, data in walk(resolver, cid, present=self._node):
            seen.add(block)
            linked |= {link.cid for link in ipld.links(block, data)}
            size += len(data)
        return size if linked - seen else None

    async def ls(self, call: Call) -> None:
        """A directory, or one file."""
        path = checked(call.arguments[0]) if call.arguments else "/"
        found = await self._mfs.find(path)
        long = call.params.flag("long")
        if found.directory:
            listed = [await self._listed(link.name, link.cid, long) async for link in self._mfs.entries(found)]
        else:
            entry = await self._listed(posixpath.basename(path).encode(), found.link.cid, long)
            # As Kubo: `cid-base` is for a file only.
            listed = [entry | {"Hash": call.show(found.link.cid)} if long else entry]
        shown = listed if call.params.flag("U") else sorted(listed, key=lambda entry: str(entry["Name"]))
        await call.single(Shown({"Entries": listed or None}, "filesLsOutput", "".join(_line(e, long) for e in shown)))

    async def _listed(self, name: bytes, cid: cids.Cid, long: bool) -> dict[str, Any]:
        entry = {"Name": name.decode("utf-8", "replace"), "Type": 0, "Size": 0, "Hash": ""}
        if long:
            found = await self._mfs.opened(cid)
            size = 0 if found.directory else found.node.size
            entry |= {"Type": int(found.directory), "Size": size, "Hash": cids.text(cid)}
        return entry

    async def read(self, call: Call) -> None:
        """A range of a file."""
        path = checked(call.arguments[0])
        try:
            found = await self._mfs.find(path)
        except NodeError as error:
            raise NodeError(f"{path}: {error}") from None
        if found.directory:
            raise NodeError(f"{path} was not a file")
        if found.node.kind is Kind.SYMLINK:
            raise NodeError(SYMLINKS)
        offset, count = number(call, "offset"), call.params.options.get("count")
        if offset < 0:
            raise InvalidArgument("cannot specify negative offset")
        if offset > found.node.size:
            raise InvalidArgument(f"offset was past end of file ({offset} > {found.node.size})")
        if count is not None and int(count) < 0:
            raise InvalidArgument("cannot specify negative 'count'")
        await call.begin_bytes()
        stop = None if count is None else offset + int(count)
        async for piece in read(self._mfs.resolver.get, found.link.cid, offset, stop):
            await call.answer.write(bytes(piece))
        await call.answer.end()

    async def flush(self, call: Call) -> None:
        """Everything is durable when it is answered; what is left is the CID."""
        path = call.arguments[0] if call.arguments else "/"
        found = await self._mfs.find(path if path.startswith("/") else f"/{path}")
        text = call.show(found.link.cid)
        await call.single(Shown({"Cid": text}, "flushRes", f"&{{{text}}}"))

    # --- changing ---

    async def mkdir(self, call: Call) -> None:
        """An empty directory."""
        path = checked(call.arguments[0])
        parents = call.params.flag("parents")
        options = settings(call)
        if path == "/":
            if not parents:
                raise NodeError("cannot create directory '/': Already exists")
        else:
            async with self._mfs.changing():
                await self._mfs.make_directory(path, options, parents=parents)
        await call.end()

    async def cp(self, call: Call) -> None:
        """A link to what is there already: nothing is read but its first block."""
        source, target = checked(call.arguments[0]), checked(call.arguments[1])
        source = source.rstrip("/") or "/"
        if target.endswith("/"):
            target += posixpath.basename(source)
        async with self._mfs.changing():
            cid = await self._source(source)
            if cids.codec(cid) not in (cids.RAW, cids.DAG_PB):
                raise NodeError("cp: source must be a valid UnixFS (dag-pb or raw codec)")
            dag = Dag(cid, await tsize_of(self._mfs.resolver, cid), 0)
            if call.params.flag("parents") and posixpath.dirname(target) != "/":
                await self._mfs.make_directory(posixpath.dirname(target), None, parents=True)
            force = call.params.flag("force")
            if force and await self._is_directory(target):
                raise NodeError(f"cp: cannot unlink existing file: not a file: {target}")
            try:
                await self._mfs.put(target, dag, replace=force)
            except NodeError as error:
                raise NodeError(f"cp: cannot put node in path {target}: {error}") from None
        await call.end()

    async def _source(self, path: str) -> cids.Cid:
        try:
            if path.startswith("/ipfs/"):
                return await self._mfs.resolver.cid(path)
            return (await self._mfs.find(path)).link.cid
        except InvalidArgument:
            raise NodeError(f"cp: cannot get node from path {path}: {NO_FILE}") from None
        except ClusterError as error:
            raise NodeError(f"cp: cannot get node from path {path}: {error}") from None

    async def _is_directory(self, path: str) -> bool:
        try:
            return (await self._mfs.find(path)).directory
        except NodeError:
            return False

    async def mv(self, call: Call) -> None:
        """Into a directory, or to a name; a file that is there is replaced."""
        source, target = checked(call.arguments[0]).rstrip("/"), checked(call.arguments[1])
        if not source:
            raise NodeError(NO_FILE)
        async with self._mfs.changing():
            found = await self._mfs.find(source)
            if target.endswith("/") or await self._is_directory(target):
                if not (target == "/" or await self._is_directory(target)):
                    raise NodeError(NO_FILE)
                if target.rstrip("/") == source:
                    await call.end()
                    return
                target = f"{target.rstrip('/')}/{posixpath.basename(source)}"
            if f"{target}/".startswith(f"{source}/"):
                if target != source:
                    raise NodeError(f"cannot move {source} into itself: {target}")
            else:
                dag = Dag(found.link.cid, found.link.tsize, 0)
                await self._mfs.put(target, dag, replace=not await self._is_directory(target))
                await self._mfs.remove(source)
        await call.end()

    async def rm(self, call: Call) -> None:
        """Path by path; what cannot be removed is told as a value, and as an error at the end."""
        params = call.params
        if not params.flag("flush"):
            raise InvalidArgument(
                "files rm always flushes for safety. The --flush flag cannot be set to false for this command"
            )
        force, failed = params.flag("force"), False
        for argument in call.arguments:
            try:
                await self._remove(argument, recursive=params.flag("recursive"), force=force)
            except ClusterError as error:
                failed = True
                text = f"{argument} is not a valid path: {error}" if isinstance(error, InvalidArgument) else str(error)
                await call.emit(Shown(text, "string", text))
        if failed:
            raise NodeError("can't remove some files")
        await call.end()

    async def _remove(self, argument: str, *, recursive: bool, force: bool) -> None:
        path = checked(argument)
        if path == "/":
            raise NodeError("/: cannot delete root")
        path = path.rstrip("/")
        async with self._mfs.changing():
            try:
                found = await self._mfs.find(path)
                if found.directory and not (recursive or force):
                    raise NodeError("path is a directory, use -r to remove directories")
                await self._mfs.remove(path)
            except NodeError as error:
                if not force:
                    raise NodeError(f"{path}: {error}") from None


def _line(entry: dict[str, Any], long: bool) -> str:
    name = entry["Name"] + ("/" if long and entry["Type"] else "")
    return f"{name}\t{entry['Hash']}\t{entry['Size']}\n" if long else f"{name}\n"


def _filled(template: str, fields: dict[str, Any]) -> str:
    mode = fields.get("Mode")
    values = {
        "<hash>": fields["Hash"],
        "<size>": str(fields["Size"]),
        "<cumulsize>": str(fields["CumulativeSize"]),
        "<type>": fields["Type"],
        "<childs>": str(fields["Blocks"]),
        "<mode>": mode or "not set",
        "<mode-octal>": mode or "not set",
        "<mtime>": str(fields.get("Mtime", "not set")),
    }
    for token, value in values.items():
        template = template.replace(token, value)
    return template + "\n"


def _xml(fields: dict[str, Any], call: Call) -> dict[str, Any]:
    if call.answer.encoding != "xml":
        return fields
    rest = {"WithLocality": False, "Local": False, "SizeLocal": 0, "Mode": 0, "Mtime": 0, "MtimeNsecs": 0}
    return {**{name: fields[name] for name in list(fields)[:5]}, **rest, **dict(list(fields.items())[5:])}
