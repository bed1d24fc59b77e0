"""The container image, built from the Dockerfile, and containers of it.

The base image comes from a registry. Where it was not pulled before, a stand-in takes its name: a
Debian of the same release with its Python, made from packages. Every line of the Dockerfile runs on
it; only what the base itself brings (and its size) is another's.
"""

import asyncio
import hashlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.oracles.node_tools import missing
from tests.oracles.programs import program
from tests.worlds.bridge import SECRET

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/python:3.13-slim-trixie"
RELEASE = "trixie"
TAG = "localhost/dokploy-bridge:test"
MINUTES = 10 * 60
"""Seconds for what waits for package registries."""
PATIENCE = 30.0

KEPT = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dokploy-bridge"
"""Where the stand-in is kept for the next run of the tests."""

TRUSTED = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches its package registry, and whom it trusts; also in the stand-in."""


@dataclass
class Podman:
    """Podman with a store of its own, or with the user's, where the real base was pulled."""

    path: str
    store: list[str] = field(default_factory=list)

    @classmethod
    def here(cls, folder: Path) -> "Podman":
        """Return one that has the base image."""
        path = program("podman")
        theirs = cls(path)
        if theirs.run("image", "exists", BASE, check=False).returncode == 0:
            return theirs
        places = ["--root", str(folder / "store"), "--runroot", str(folder / "run")]
        if shutil.which("runc"):  # unlike crun, it knows every layout of control groups
            places += ["--runtime", "runc"]
        ours = cls(path, [*places, "--cgroup-manager", "cgroupfs"])
        ours.run("import", str(stand_in()), BASE)
        return ours

    @property
    def command(self) -> list[str]:
        return [self.path, *self.store]

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        quiet = os.environ | {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
        done = subprocess.run(
            [*self.command, *words],
            capture_output=True, text=True, timeout=MINUTES, check=False, env=quiet,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{words}\n{done.stdout[-4000:]}{done.stderr}"
        return done

    def build(self, **arguments: str) -> None:
        """Build the image as Docker does: its format has health checks."""
        given = [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
        network = ["--isolation", "chroot", "--network", "host", *limits()]
        self.run(
            "build",
            "--format",
            "docker",
            "--layers=false",
            *network,
            *given,
            "--tag",
            TAG,
            str(ROOT),
        )

    def inspect(self, what: str) -> dict[str, Any]:
        (found,) = json.loads(self.run("inspect", what).stdout)
        return dict(found)


def limits() -> list[str]:
    """Return options that leave the limits as they are: not every root may raise them."""
    names = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    return [
        word
        for name, which in names.items()
        for word in ("--ulimit", f"{name}={min(65_536, resource.getrlimit(which)[1])}")
    ]


def stand_in() -> Path:
    """Return a tar file with a Debian that stands in for the base image."""
    mmdebstrap = program("mmdebstrap")
    nobody_reads = [f"path-exclude=/usr/share/{one}/*" for one in ("doc", "man", "locale", "info")]
    recipe = [
        *("--quiet", "--variant=apt", "--aptopt=Acquire::Languages none"),
        "--include=ca-certificates,passwd,python3,python3-venv",
        *(f"--dpkgopt={one}" for one in ["force-unsafe-io", *nobody_reads]),
        *(f'--customize-hook=cp "{one}" "$1{one}"' for one in TRUSTED if Path(one).exists()),
        RELEASE,
    ]
    made = KEPT / f"python-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]}.tar"
    if made.exists():
        return made
    KEPT.mkdir(parents=True, exist_ok=True)
    new = made.with_suffix(f".{os.getpid()}.tar")
    words = [mmdebstrap, *recipe, str(new)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=MINUTES, check=False)
    if done.returncode != 0:
        new.unlink(missing_ok=True)
        missing(f"no stand-in for {BASE} can be made here: {done.stderr.strip()[-300:]}")
    return new.rename(made)


@contextmanager
def built_image(folder: Path) -> Iterator[Podman]:
    """Build the image; remove it, and whatever was started of it."""
    podman = Podman.here(folder)
    try:
        podman.build(VERSION="1.2.3", REVISION="0123abc")
        yield podman
    finally:
        podman.run("rmi", "--force", *(["--all"] if podman.store else [TAG]), check=False)
        shutil.rmtree(folder, ignore_errors=True)  # of half a gigabyte; it is in a temporary folder


@dataclass
class Container:
    """A bridge in a container on this machine's own network, hardened as our docs say."""

    podman: Podman
    port: int
    name: str

    def start(self, *words: str) -> None:
        hardened = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        given = {
            "PORT": str(self.port),
            "BRIDGE_EMBEDDED_PORT": "0",
            "BRIDGE_EMBEDDED_SITES_PORT": "0",
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        }
        variables = [word for item in given.items() for word in ("--env", "=".join(item))]
        self.podman.run(
            *("run", "--detach", "--name", self.name, "--network", "host", *hardened, *limits()),
            *("--tmpfs", "/tmp", "--volume", f"{self.name}:/data", *variables, TAG, *words),
        )

    def again(self) -> None:
        self.podman.run("start", self.name)

    def stop(self, seconds: int) -> int:
        """Tell it to stop, and return its exit code; after so many seconds, kill it (137)."""
        self.podman.run("stop", "--time", str(seconds), self.name)
        return int(self.podman.inspect(self.name)["State"]["ExitCode"])

    def remove(self) -> None:
        self.podman.run("rm", "--force", "--ignore", "--time", "0", self.name)
        self.podman.run("volume", "rm", "--force", self.name)

    def ask(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in it."""
        return self.podman.run("exec", self.name, *words, check=check)

    async def until_it_says(self, name: str) -> dict[str, Any]:
        """Follow its log to an event, from its newest start on; return it."""
        log = await asyncio.create_subprocess_exec(
            *(*self.podman.command, "logs", "--follow", "--since", self._since(), self.name),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert log.stderr is not None
        try:
            async with asyncio.timeout(PATIENCE):
                async for line in log.stderr:
                    if line.startswith(b"{") and (found := json.loads(line))["event"] == name:
                        return dict(found)
        finally:
            if log.returncode is None:
                log.terminate()
            await log.communicate()
        raise AssertionError(f"it ended without saying {name!r}")

    def _since(self) -> str:
        return str(self.podman.inspect(self.name)["State"]["StartedAt"])


@asynccontextmanager
async def reached(container: Container) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a container's bridge."""
    url = f"http://127.0.0.1:{container.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        yield http
