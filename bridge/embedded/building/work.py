"""What a builder gets, and what it has to do."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.embedded.building.logs import as_env_file
from bridge.embedded.building.process import Runner
from bridge.embedded.places import BuildFailed, Remover
from bridge.embedded.records.database import Record


@dataclass(frozen=True, slots=True)
class Work:
    """One build.

    Attributes:
        application: its record, as it was when the build began.
        checkout: root of the repository; content may not lead out of it.
        folder: the build path inside of it.
        scratch: an empty folder, removed afterwards, for files with secrets.
        site: where releases of a static site go.
        remover: takes what is not needed any more.
        env, build_args, build_secrets: read and resolved.
    """

    application: Record
    deployment_id: str
    checkout: Path
    folder: Path
    scratch: Path
    site: Path
    runner: Runner
    remover: Remover
    env: Mapping[str, str]
    build_args: Mapping[str, str]
    build_secrets: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of the image and the container, e.g. "web-jwkg6q"."""
        return str(self.application["appName"])


class Builder(Protocol):
    """Builds and publishes; raises BuildFailed."""

    async def build(self, work: Work) -> None:
        """Make the new version the one that is served; until then the old one stays."""


async def write_env_file(work: Work) -> None:
    """Write `.env` beside the code, where the application wants one."""
    if work.application["createEnvFile"] and work.env:
        await asyncio.to_thread(_write_private, work.folder / ".env", as_env_file(work.env))
        await work.runner.log.say(f"Wrote .env with {len(work.env)} variables")


async def write_secrets(work: Work) -> dict[str, Path]:
    """Each build secret as a file that only we can read; gone after the build."""
    files = {name: work.scratch / f"secret-{name}" for name in work.build_secrets}
    for name, path in files.items():
        await asyncio.to_thread(_write_private, path, work.build_secrets[name])
    return files


async def refuse_links_outside(work: Work) -> None:
    """For builders that follow symbolic links: none may lead out of the repository."""
    link = await asyncio.to_thread(_link_outside, work.checkout)
    if link is not None:
        raise BuildFailed(f"symbolic link {link!r} leads outside of the repository")


def _write_private(path: Path, text: str) -> None:
    # The repository may hold a link of this name, which must not be followed.
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _link_outside(root: Path) -> str | None:
    real_root = root.resolve()
    for folder, folders, files in os.walk(real_root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                return str(path.relative_to(real_root))
    return None
