"""The pinset copied from a running service, and restored: real nodes, real files, the commands an operator types."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from compat_tests.harness.http import multipart, post
from compat_tests.harness.kubo import KuboNode
from compat_tests.harness.process import eventually
from compat_tests.harness.service import COMMAND, CTL, Service


def add(service: Service, name: str) -> str:
    headers, body = multipart(("f", os.urandom(1000), "application/octet-stream"))
    answer = post(service.address, f"/api/v0/add?pin-name={name}", headers=headers, body=body)
    assert answer.status == 200, answer.text
    return str(json.loads(answer.text)["Hash"])


def state(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "-c", str(service.folder), "state", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_copy_of_a_running_service_comes_back(
    trio: list[KuboNode], service_factory: Callable[..., Service], tmp_path: Path
) -> None:
    service = service_factory(trio, cluster={"replication_factor_min": 2, "replication_factor_max": 2})
    kept, removed = add(service, "kept"), add(service, "removed")
    copy = tmp_path / "copy.sqlite"
    done = state(service, "backup", str(copy))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"checked: {copy}" in done.stdout
    later = add(service, "later")
    assert service.rpc("pin/rm", ("arg", removed)).status == 200
    refused = state(service, "restore", "--force", str(copy))
    assert refused.returncode == 1
    assert "one process per folder" in refused.stderr
    assert service.stop() == 0

    refused = state(service, "restore", str(copy))
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    restored = state(service, "restore", "--force", str(copy))
    assert (restored.returncode, restored.stderr) == (0, "")
    service.start()
    pins = service.pins()
    assert (pins[kept], pins[removed]) == ("kept", "removed")
    eventually(lambda: service.pinned_everywhere(kept) and service.pinned_everywhere(removed), "all is held again")
    assert sum(removed in node.pins() for node in trio) == 2
    # Nobody asked to unpin what was pinned since; it is no longer the cluster's.
    assert sum(later in node.pins() for node in trio) == 2
    assert set(service.statuses(later).values()) == {"unpinned"}


def test_a_damaged_pinset_keeps_the_service_from_starting(
    trio: list[KuboNode], service_factory: Callable[..., Service]
) -> None:
    service = service_factory(trio)
    add(service, "x")
    assert service.stop() == 0
    with open(service.folder / "pinset.sqlite", "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4 * 4096))
    done = subprocess.run(
        [*COMMAND, "-c", str(service.folder), "daemon"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert "state restore --force BACKUP" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_pinset_can_be_followed(trio: list[KuboNode], service_factory: Callable[..., Service]) -> None:
    service = service_factory(trio)
    host = f"/ip4/127.0.0.1/tcp/{service.rest_port}"
    with subprocess.Popen([*CTL, "-l", host, "watch"], stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        try:
            lines = iter(watch.stdout.readline, "")
            assert next(lines) == "RESET | the whole pinset follows\n"
            cid = add(service, "followed")
            assert next(line for line in lines if "followed" in line).startswith(f"PINNED | {cid} |")
            assert service.rpc("pin/rm", ("arg", cid)).status == 200
            assert next(line for line in lines if line.startswith("REMOVED")) == f"REMOVED | {cid}\n"
            # The service does not wait for who looks on; who does hears that it was cut off.
            assert service.stop() == 0
            assert watch.wait(30) == 1
        finally:
            watch.kill()
