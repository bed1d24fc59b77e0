"""Previews that a backend makes by itself. The bridge only shows them."""

from dataclasses import dataclass
from enum import StrEnum


class NativeState(StrEnum):
    """The state of a preview that the backend makes by itself."""

    WAITING = "waiting"  # nothing is built yet
    BUILDING = "building"
    UP = "up"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NativePreview:
    """A preview of a pull request that a backend makes by itself.

    Attributes:
        id: the backend's own, e.g. "FDUnPqcjctC3gv1T8vDVf".
        maker: who makes it, for people, e.g. "Dokploy".
        app_id, app, backend: the app that is previewed, its label, and where it is.
        state: of its newest build.
        commit: of its newest build; None if the backend does not tell.
        url: where it is served; None if that is not known.
        page: the backend's page about it, with its logs; None if unknown.
        active_at: when it was last built, in seconds since 1970 by the backend's clock.
    """

    id: str
    maker: str
    app_id: str
    app: str
    backend: str
    number: int
    title: str
    branch: str
    pull_url: str
    state: NativeState
    commit: str | None
    url: str | None
    page: str | None
    active_at: float

    @property
    def label(self) -> str:
        """Return its name for people, e.g. "shop/web #12"."""
        return f"{self.app} #{self.number}"

    @property
    def name(self) -> str:
        """Return what people type to name it, e.g. "shop/web#12"."""
        return f"{self.app}#{self.number}"

    @property
    def whose(self) -> str:
        """Return the words that mark it, e.g. "Dokploy's own"."""
        return f"{self.maker}'s own"

    @property
    def is_over(self) -> bool:
        """Return False: one of which nothing is left is not listed."""
        return False


def why_not_ours(native: NativePreview) -> str:
    """Return why the bridge changes nothing about a preview, and what people can do instead."""
    where = f"at {native.page}" if native.page else f"in {native.maker}"
    return (
        f"{native.label} is {native.whose} preview, which the bridge only shows: change it"
        f" {where}, or have the rule `previews` make those of this app"
    )
