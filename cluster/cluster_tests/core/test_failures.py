"""Words of real daemons, of their plugins and of our own calls, and what each kind of failure leads to."""

from __future__ import annotations

import pytest

from ipfs_cluster.core.failures import RETRIES, WORDS, Failure, classify, retries
from ipfs_cluster.core.transitions import Backoff

HEARD = {
    "write /data/ipfs/blocks/X3/put-1: no space left on device": Failure.DISK_FULL,
    "could not add pin cid index: write 000012.log: No space left on device": Failure.DISK_FULL,
    "flatfs: write: disk quota exceeded": Failure.DISK_FULL,
    "maximum storage limit exceeded. Try to unpin some files": Failure.DISK_FULL,
    "bafkqaaa is blocked and cannot be provided": Failure.BLOCKED,
    "/ipfs/bafkqaaa/x is blocked and cannot be provided": Failure.BLOCKED,
    "potentially insecure hash functions not allowed": Failure.INVALID,
    "digest too small: sha2-256 digest got 4 bytes, minimum 20": Failure.INVALID,
    "the block referred to by 'QmX' was not a valid merkledag node": Failure.INVALID,
    "failed to decode Protocol Buffers: unexpected EOF": Failure.INVALID,
    "pin: protobuf: (PBNode) invalid wireType, expected 2, got 0": Failure.INVALID,
    "no decoder registered for multicodec code 43981 (0xabcd)": Failure.INVALID,
    "pin name is 300 bytes (max 255 bytes)": Failure.INVALID,
    "block was not found locally (offline): ipld: could not find bafkqaaa": Failure.NOT_FOUND,
    "failed to fetch all nodes": Failure.NOT_FOUND,
    "no new block for 120s after 3 blocks (4096 bytes): no reachable node seems to have it": Failure.NOT_FOUND,
    "no new block for 9s; given up for a while as other pins need the node": Failure.NOT_FOUND,
    "cannot connect to 127.0.0.1:5001: Connection refused": Failure.UNREACHABLE,
    "127.0.0.1:5001 closed the connection without an answer": Failure.UNREACHABLE,
    "127.0.0.1:5001 broke off its answer: the body ended early": Failure.UNREACHABLE,
    "the daemon has the root block and did not begin for 120s: its pin lock is held by an add": Failure.PIN_LOCK,
    "unpin did not finish within 10800s, as if the daemon's pin lock is held by an add": Failure.PIN_LOCK,
    "pin: bafkqaaa already pinned recursively": Failure.OTHER,
    "": Failure.OTHER,
}


@pytest.mark.parametrize(("words", "kind"), HEARD.items())
def test_words_tell_the_kind(words: str, kind: Failure) -> None:
    assert classify(words) is kind


def test_each_kind_but_other_has_words_in_lower_case() -> None:
    assert set(WORDS) == set(Failure) - {Failure.OTHER}
    assert all(part == part.lower() and part for parts in WORDS.values() for part in parts)


def test_what_time_does_not_heal_is_tried_seldom_and_the_rest_as_usual() -> None:
    usual = Backoff()
    first = {kind: retries(kind, usual).delay(1, 0.999) for kind in Failure}
    assert first[Failure.NOT_FOUND] == first[Failure.OTHER] == usual.delay(1, 0.999)
    assert min(first[Failure.INVALID], first[Failure.BLOCKED]) > 1000 > first[Failure.DISK_FULL] > first[Failure.OTHER]
    assert retries(Failure.PIN_LOCK, usual).delay(1000, 0.0) < usual.delay(1000, 0.0)
    assert all(rule.base <= rule.cap for rule in RETRIES.values())
