"""Where things lie under the data directory, and how content is kept inside its own place."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.backends.embedded.building.errors import BuildFailed


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of the embedded backend, by application id, so that names may change."""

    root: Path

    @property
    def database(self) -> Path:
        """All records."""
        return self.root / "embedded.db"

    @property
    def key_file(self) -> Path:
        """The API key, readable by its owner only."""
        return self.root / "api-key"

    @property
    def url_file(self) -> Path:
        """Where the running server listens, for commands beside it; else it is not there."""
        return self.root / "url"

    @property
    def sites_url_file(self) -> Path:
        """Where the running server's sites are, for commands beside it."""
        return self.root / "sites-url"

    @property
    def logs(self) -> Path:
        """All logs; nothing outside is ever streamed."""
        return self.root / "logs"

    def logs_of(self, application_id: str) -> Path:
        """An application's logs."""
        return self.logs / application_id

    def application(self, application_id: str) -> Path:
        """An application's checkout and scratch files."""
        return self.root / "applications" / application_id

    def code(self, application_id: str) -> Path:
        """The checkout that the last deploy made and that a redeploy builds again."""
        return self.application(application_id) / "code"

    def site(self, application_id: str) -> Path:
        """An application's releases and the link to the one that is served."""
        return self.root / "sites" / application_id


def inside(root: Path, wanted: str | None, *, what: str) -> Path:
    """The real path of `wanted` under `root`; "/" and None are `root` itself.

    A leading slash means the root of the repository, as in the server's build paths. Blocks:
    call it off the event loop.

    Raises:
        BuildFailed: it does not exist or leads outside, by `..` or over a symbolic link.
    """
    real_root = root.resolve()
    path = (real_root / (wanted or "").strip().lstrip("/")).resolve()
    if not path.is_relative_to(real_root):
        raise BuildFailed(f"{what} {wanted!r} leads outside of the repository")
    if (hidden := never_published(path.relative_to(real_root).parts)) is not None:
        raise BuildFailed(f"{what} {wanted!r} lies in {hidden!r}, which is off limits")
    if not path.exists():
        raise BuildFailed(f"{what} {wanted!r} does not exist in the repository")
    return path


def never_published(parts: Iterable[str]) -> str | None:
    """The first name of a path that no site may show: Git's own folder, or a file of variables.

    An `.env` may be one that an earlier build has written with the application's secrets.
    Capitals make no difference on some disks.
    """
    for part in parts:
        name = part.casefold()
        if name in (".git", ".env") or name.startswith(".env."):
            return part
    return None
