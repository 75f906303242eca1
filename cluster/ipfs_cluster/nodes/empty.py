"""The empty raw block. Kubo's bitswap never serves it, so a tree with an empty file would wait for it for ever."""

from __future__ import annotations

from typing import Final

from ipfs_cluster.cid import Cid, parse

EMPTY_RAW_BLOCK: Final[Cid] = parse("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
