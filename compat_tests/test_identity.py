"""Identities of other libp2p programs, whose keys and IDs Kubo makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from compat_tests.harness.tools import kubo_binary
from ipfs_cluster.identity import IdentityError, decode


@pytest.mark.parametrize(("algorithm", "beginning"), [("ed25519", "12D3KooW"), ("rsa", "Qm")])
def test_keys_and_their_ids(tmp_path: Path, algorithm: str, beginning: str) -> None:
    command = [str(kubo_binary()), "init", f"--algorithm={algorithm}", "--empty-repo", "--profile=test"]
    subprocess.run(command, env={"IPFS_PATH": str(tmp_path)}, check=True, capture_output=True)
    made = json.loads((tmp_path / "config").read_text())["Identity"]
    assert made["PeerID"].startswith(beginning)
    assert decode(made["PeerID"], made["PrivKey"]).id == made["PeerID"]
    with pytest.raises(IdentityError, match="does not belong"):
        decode(made["PeerID"][:-1] + "1", made["PrivKey"])
