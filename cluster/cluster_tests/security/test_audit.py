"""The audit log: whole lines, nothing secret, no full disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ipfs_cluster.security.audit import DENIED_A_MINUTE, LONGEST, MOST_ARGUMENTS, AuditLog, query_of


class Time:
    now = 1_700_000_000.5

    def __call__(self) -> float:
        return self.now


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_request_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit = AuditLog(path, Time())
    audit.record("rest", "192.0.2.1", "ann", {"method": "POST", "path": '/pins/"\n\u2028', "status": 200})
    assert path.read_bytes().count(b"\n") == 1
    assert lines(path) == [
        {
            "time": "2023-11-14T22:13:20.500Z",
            "door": "rest",
            "remote": "192.0.2.1",
            "user": "ann",
            "method": "POST",
            "path": '/pins/"\n\u2028',
            "status": 200,
        }
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    audit.close()


def test_it_goes_on_in_the_file_and_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for number in range(2):
        audit = AuditLog(path)
        audit.record("rest", "", "", {"number": number})
        audit.close()
    audit = AuditLog(path)
    path.rename(tmp_path / "old")
    audit.reopen(path)
    audit.record("rest", "", "", {"number": 2})
    with pytest.raises(OSError):
        audit.reopen(tmp_path / "none" / "audit.log")
    audit.record("rest", "", "", {"number": 3})
    assert [line["number"] for line in lines(tmp_path / "old")] == [0, 1]
    assert [line["number"] for line in lines(path)] == [2, 3]
    audit.reopen(None)
    assert not audit.on
    audit.record("rest", "", "", {"number": 4})
    assert len(lines(path)) == 2


def test_who_knocks_all_the_time_does_not_fill_the_disk(tmp_path: Path) -> None:
    time, path = Time(), tmp_path / "audit.log"
    audit = AuditLog(path, time)
    for _ in range(DENIED_A_MINUTE + 50):
        audit.record("rest", "192.0.2.1", "", {}, denied=True)
    audit.record("rest", "192.0.2.1", "ann", {}, denied=True)
    audit.record("rest", "192.0.2.1", "", {})
    assert len(lines(path)) == DENIED_A_MINUTE + 2, "those who are known, and what is done, are always written down"
    time.now += 60
    audit.record("rest", "192.0.2.1", "", {}, denied=True)
    audit.record("rest", "192.0.2.1", "", {}, denied=True)
    assert [line.get("omitted") for line in lines(path)[-2:]] == [50, None]
    audit.close()


def test_a_full_disk_is_complained_of_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    audit = AuditLog(tmp_path / "audit.log")

    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(3):
            audit.record("rest", "", "", {})
    assert caplog.text.count("No space left on device") == 1
    audit.close()


def test_of_a_query_only_what_is_known_to_be_no_secret() -> None:
    query = "arg=CANARY&name=n&api-auth=CANARY&meta-key=CANARY&origins=CANARY&name=m&recursive=&CANARY&%63anary=CANARY"
    assert query_of(query, arguments=False) == {"name": ["n", "m"], "recursive": [""]}
    assert query_of("arg=a&arg=b", arguments=True) == {"arg": ["a", "b"]}
    many = query_of("&".join(["arg=" + "x" * 1000] * 100), arguments=True)["arg"]
    assert many == ["x" * LONGEST] * MOST_ARGUMENTS + ["…"]
