"""UnixFS: files and directories as blocks, bit for bit as Kubo makes them. Sans-IO: bytes in, blocks out."""

from ipfs_cluster.unixfs.directory import DirectoryImport
from ipfs_cluster.unixfs.file import FileImport, InPlace, Leaves, Pooled
from ipfs_cluster.unixfs.listing import DirectoryWalk, PathWalk, entries, resolve_path
from ipfs_cluster.unixfs.model import Block, Link, Metadata, Mtime, Node
from ipfs_cluster.unixfs.opened import open_node, verify
from ipfs_cluster.unixfs.options import Asked, Estimation, ImportOptions, Layout, resolve
from ipfs_cluster.unixfs.reader import FileWalk, Getter, read
from ipfs_cluster.unixfs.tree import Added, TreeImport

__all__ = [
    "Added",
    "Asked",
    "Block",
    "DirectoryImport",
    "DirectoryWalk",
    "Estimation",
    "FileImport",
    "FileWalk",
    "Getter",
    "ImportOptions",
    "InPlace",
    "Layout",
    "Leaves",
    "Link",
    "Metadata",
    "Mtime",
    "Node",
    "PathWalk",
    "Pooled",
    "TreeImport",
    "entries",
    "open_node",
    "read",
    "resolve",
    "resolve_path",
    "verify",
]
