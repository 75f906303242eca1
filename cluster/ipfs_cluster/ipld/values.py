"""What IPLD's codecs hold: JSON's values, bytes, and links."""

from __future__ import annotations

from typing import NamedTuple, Union

from ipfs_cluster.cid import Cid

MAX_DEPTH = 128
"""Lists and maps within each other; deeper data is refused."""


class CidLink(NamedTuple):
    """A link. A type of its own, as bytes are a value too."""

    cid: Cid


Value = Union[None, bool, int, float, str, bytes, CidLink, "list[Value]", "dict[str, Value]"]
