"""Checks of commits, and what an app's rules say of them.

A check is a GitHub check run or commit status, a GitLab pipeline or one of its jobs, or a Gitea
status. A host's reader returns the newest one of each name, and leaves our own statuses out.
"""

from dataclasses import dataclass
from enum import StrEnum


class Otherwise(StrEnum):
    """The action if checks never give a result."""

    HOLD = "hold"
    DEPLOY = "deploy"


class Need(StrEnum):
    """Which checks must pass, if they are not named."""

    REQUIRED = "required"  # those that the branch's protection requires; without any, all
    ALL = "all"


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """The checks that an app waits for, and for how long.

    Attributes:
        names: checks or globs that must pass, instead of `need`; each must match one.
        of_apps: checks of apps that must pass, as "GitHub Actions/build", instead of `need`; the
            part after the first slash may be a glob.
        ignore: checks or globs that never count.
        none_after: seconds without any check until `none` decides.
        timeout: seconds that a deployment waits for pending checks until `late` decides.
    """

    need: Need = Need.REQUIRED
    names: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    none_after: float = 90.0
    none: Otherwise = Otherwise.DEPLOY
    timeout: float = 3600.0
    late: Otherwise = Otherwise.HOLD
    of_apps: tuple[str, ...] = ()


class CheckState(StrEnum):
    """The state of one check."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a commit, its newest run.

    Attributes:
        app: who reports it, e.g. "GitHub Actions"; names are unique for each. "": anybody who may
            set a status.
        url: its page; None if there is none.
        app_id: the host's number of that app; None if it has none, or it is not known.
    """

    name: str
    state: CheckState
    app: str = ""
    url: str | None = None
    app_id: int | None = None


@dataclass(frozen=True, slots=True)
class Required:
    """A check that a branch requires.

    Attributes:
        app_id: the app that has to report it; None: anybody may.
    """

    name: str
    app_id: int | None = None

    def is_met_by(self, check: Check) -> bool:
        """Return whether a check is this one, however it has ended."""
        return check.name == self.name and self.app_id in (None, check.app_id)
