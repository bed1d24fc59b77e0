"""The repositories that are pushed to: Dokploy clones them from loopback, over real HTTP.

The commit itself says how long its build takes and whether it fails, so that no access to
Dokploy's machine is needed: the Dockerfile sleeps for the seconds in `.sleep`, and fails with the
words in `.fail`, if there is one. A container of a commit with `.stay` never becomes healthy, so
the old one stays; `.stale` has a stand-in for Docker start the new container from the old image.
"""

import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.trial.beside import beside
from tests.worlds.bridge import Origin
from tests.worlds.embedded import Repository, git_server

DOCKERFILE = """\
FROM busybox
COPY . /trial
RUN sleep "$(cat /trial/.sleep)"
RUN if [ -e /trial/.fail ]; then cat /trial/.fail; exit 1; fi
HEALTHCHECK --interval=1s CMD [ ! -e /trial/.stay ]
CMD ["sleep", "3600"]
"""
COMPOSE = "services:\n  a:\n    build: .\n"
FIRST = {
    "Dockerfile": DOCKERFILE,
    "docker-compose.yml": COMPOSE,
    ".sleep": "0",
    "web/index.html": "first",
}


@dataclass(frozen=True)
class Repo(Origin):
    """The repository of one app; a commit says how its build goes."""

    def commit_files(
        self,
        message: str = "feat: something new",
        *,
        sleep: float = 0,
        fail: str | None = None,
        mark: str = "",
        files: tuple[str, ...] = ("web/index.html",),
    ) -> str:
        """Commit a change of each named file; `mark` is `.stay`, `.stale` or none."""
        folder = self.repository.path
        for gone in (".fail", ".stay", ".stale"):
            (folder / gone).unlink(missing_ok=True)
        changed = {name: uuid.uuid4().hex for name in (*files, *filter(None, [mark]))}
        if fail is not None:
            changed[".fail"] = f"{fail}\n"
        if (folder / ".sleep").read_text() != f"{sleep:g}":
            changed[".sleep"] = f"{sleep:g}"
        return self.repository.commit(message, changed)


@dataclass
class Repositories:
    """A GitHub on loopback, as far as it is cloned from, in a thread of its own.

    Attributes:
        elsewhere: what was made in other folders, and is removed at the end.
    """

    root: Path
    url: str = ""
    elsewhere: list[Path] = field(default_factory=list)

    def make(self, name: str, host: str = "github") -> Repo:
        """Make a repository with a first commit."""
        made = Repository.make(self.root / "trial" / name, dict(FIRST))
        return Repo(made, host, f"trial/{name}", _number(name), f"{self.url}/trial/{name}")

    def make_at(self, folder: Path, host: str) -> Repo:
        """Make a repository in the folder from which an account of Dokploy clones."""
        name = f"trial-{uuid.uuid4().hex[:8]}"
        work = self.root / name
        work.mkdir(parents=True)
        bare = folder / "trial" / f"{name}.git"
        bare.parent.mkdir(parents=True, exist_ok=True)
        self.elsewhere.append(bare)
        repository = Repository(work)
        repository.git("init", "-q", "-b", "main", "--separate-git-dir", str(bare))
        repository.commit("feat: first commit", dict(FIRST))
        home = self.url if host == "github" else f"https://{host}.com"
        url = f"{home}/trial/{name}.git"
        return Repo(repository, host, f"trial/{name}", _number(name), url)


@contextmanager
def repositories(root: Path) -> Iterator[Repositories]:
    """Serve the repositories under a folder until the end."""
    root.mkdir()
    found = Repositories(root)
    try:
        with beside(git_server(root)) as server:
            found.url = server.url
            yield found
    finally:
        for one in found.elsewhere:
            shutil.rmtree(one)


def _number(name: str) -> int:
    """Return a number as a host gives it to a repository."""
    return zlib.crc32(name.encode()) % 10**6
