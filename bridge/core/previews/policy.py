"""The `previews` rule of an app."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.core.errors import Rejected

DAY = 86_400.0

PLACES = ("number", "app", "project")
"""What the pattern of a preview's host name may contain, in braces."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}")


class Forks(StrEnum):
    """What happens to a pull request from a fork."""

    APPROVAL = "approval"
    """It waits until somebody approves its commit."""

    NEVER = "never"


@dataclass(frozen=True, slots=True)
class PreviewPolicy:
    """How an app's pull requests are previewed; times are in seconds.

    Attributes:
        on: False overrides an earlier rule that has previews.
        host: the pattern of a preview's host name, e.g. "pr-{number}-{app}.preview.example.com";
            None: the backend suggests one.
        https: whether it is served with a certificate from Let's Encrypt.
        port: the port of the app's container.
        label: only pull requests with this label; None for all.
        drafts: also drafts.
        forks: what happens to pull requests from forks.
        limit: the most previews of the app at a time; further pull requests wait.
        idle: how long a preview stays without a push or an extension.
        environment: its whole environment. Nothing of the app's own is taken over.
        build_args: its build arguments, likewise.
        environment_for_forks: give both to approved pull requests from forks, too.
        memory: the most bytes of memory that it may have.
        cpus: the most cores that it may use; None for no limit.
        place: the name of the backend's environment in which previews are made.
        ci_secrets_for_forks: accept that the commit of an approved pull request from a fork gets a
            branch in the repository, whose pipelines then run it with their secrets.
        mirror_for_forks: the repository that gets this branch instead, e.g. "my-org/forks". Only a
            backend that builds nothing but branches needs one or the other.
        pin: build exactly the pull request's commit; forks are always built like this.
    """

    on: bool = True
    host: str | None = None
    https: bool = False
    port: int = 3000
    label: str | None = None
    drafts: bool = False
    forks: Forks = Forks.APPROVAL
    limit: int = 5
    idle: float = 7 * DAY
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    build_args: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    environment_for_forks: bool = False
    ci_secrets_for_forks: bool = False
    mirror_for_forks: str | None = None
    memory: int = 512 * 2**20
    cpus: float | None = 1.0
    place: str = "previews"
    pin: bool = False


def check_host(pattern: str) -> None:
    """Raise Rejected if a pattern can't give each pull request a host name of its own."""
    unknown = set(_BRACES.findall(pattern)) - set(PLACES)
    if unknown:
        places = ", ".join(f"{{{one}}}" for one in PLACES)
        raise Rejected(f"{{{min(unknown)}}} means nothing in a host name: {places} do")
    if "{number}" not in pattern:
        raise Rejected(
            f"{pattern!r} is the same for every pull request: write e.g. pr-{{number}}-{{app}}."
            "preview.example.com"
        )
    sample = _BRACES.sub("1", pattern.lower())
    if not _NAME.fullmatch(sample):
        raise Rejected(f"{pattern!r} is no host name: write e.g. pr-{{number}}-{{app}}.example.com")


def check_place(name: str) -> None:
    """Raise Rejected if previews can't be made in an environment of this name."""
    if name.lower() == "production":
        raise Rejected("previews are never made in the environment production: name another one")
