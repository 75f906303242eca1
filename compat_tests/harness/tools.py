"""Building and finding the real parts. A part that is missing skips with a reason, and fails where CI=true."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ipfs-cluster-proxy-tests"


def missing(reason: str) -> NoReturn:
    """Skip on a laptop, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI must have it)", pytrace=False)
    pytest.skip(reason)


def tool(name: str) -> str:
    """The path of a program, or `missing`."""
    return shutil.which(name) or missing(f"{name} is not installed")


def built(key: str, sources: list[Path], product: str, build: Callable[[Path], None]) -> Path:
    """A product cached outside the checkout by the content of its sources; built once, by one process at a time.

    build(folder) makes folder/product; a build that fails leaves nothing behind.
    """
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    target = CACHE / f"{key}-{digest}"
    if (target / product).exists():
        return target / product
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{key}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / product).exists():
            draft = CACHE / f"{key}-{digest}.draft-{os.getpid()}"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            try:
                build(draft)
                shutil.rmtree(target, ignore_errors=True)
                draft.rename(target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return target / product


def run(command: list[str], **options: object) -> None:
    """Run a build step; `missing` with its last output when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        missing(f"{' '.join(command[:4])} failed: {(done.stderr or done.stdout)[-800:]}")


def go_program(key: str, folder: Path, package: str) -> Path:
    """Build a Go program of the tree from its pinned module."""
    go = tool("go")
    sources = [*sorted(folder.glob("*.go")), folder / "go.mod", folder / "go.sum"]

    def build(target: Path) -> None:
        run([go, "build", "-o", str(target / key), package], cwd=folder, env={**os.environ, "GOFLAGS": "-mod=mod"})

    return built(key, sources, key, build)


def kubo_binary() -> Path:
    """The `ipfs` program: IPFS_BINARY, or built from the pinned module (about three minutes, once)."""
    if given := os.environ.get("IPFS_BINARY"):
        return Path(given)
    return go_program("ipfs", HERE / "kubo", "github.com/ipfs/kubo/cmd/ipfs")


def python_environment(key: str, requirements: Path) -> Path:
    """The interpreter of a virtual environment with exactly these requirements."""

    def build(target: Path) -> None:
        run([sys.executable, "-m", "venv", str(target)])
        run([str(target / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(requirements)])

    # A virtual environment knows its own path, so it is made in place: the marker is written last.
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    target = CACHE / f"{key}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{key}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            build(target)
            (target / "complete").touch()
    return target / "bin" / "python"


def node_modules(key: str, folder: Path) -> Path:
    """The folder of a Node program with its modules installed."""
    npm = tool("npm")
    tool("node")
    sources = [*sorted(folder.glob("*.mjs")), folder / "package.json"]

    def build(target: Path) -> None:
        for source in sources:
            shutil.copy(source, target)
        run([npm, "install", "--no-audit", "--no-fund", "--silent"], cwd=target)
        (target / "complete").touch()

    return built(key, sources, "complete", build).parent
