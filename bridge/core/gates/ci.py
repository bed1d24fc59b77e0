"""Judge a commit's checks: pending, passed, failed or absent. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.checks import Check, CheckPolicy, CheckState, Need, Otherwise, Required
from bridge.core.rules import name_matches
from bridge.core.words import for_people, some

MOST_NAMED = 5
"""Checks that a reason names."""

Fits = Callable[[Check], bool]
"""Tells whether a check is one that is waited for."""


@dataclass(frozen=True, slots=True)
class Ci:
    """The known checks of a commit.

    Attributes:
        read_at: when the host listed all of them, through all pages; None if never.
        required: what the branch's protection requires; None if not known.
        error: why they can't be read at present; "" if they can.
        fresh: no event has come since they were listed, so no other check can be missing.
    """

    commit: str
    checks: tuple[Check, ...] = ()
    read_at: float | None = None
    required: tuple[Required, ...] | None = None
    error: str = ""
    fresh: bool = True


class CiState(StrEnum):
    """The result of judging a commit's checks for an app."""

    PASSED = "passed"
    PENDING = "pending"
    FAILED = "failed"
    NONE = "none"
    LATE = "late"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class CiVerdict:
    """The judgement of a commit's checks for an app.

    Attributes:
        says: the reason, for people.
        opens_at: when it passes by itself, whatever the checks do.
        headline: the part of the reason without what changes often; "": all of it.
    """

    state: CiState
    says: str = ""
    opens_at: float | None = None
    changes_at: float | None = None
    headline: str = ""


def judged(policy: CheckPolicy, ci: Ci, *, since: float, now: float) -> CiVerdict:
    """Return what a commit's checks mean.

    Args:
        since: when the deployment was wanted; the policy's times count from then.
    """
    late_at = since + policy.timeout
    late = now >= late_at
    if late and policy.late is Otherwise.DEPLOY:
        return CiVerdict(CiState.PASSED, _waited(policy, "in vain"))
    opens = late_at if policy.late is Otherwise.DEPLOY else None
    changes = None if late else late_at
    at = ci.commit[:7]
    if ci.read_at is None:
        said, why = f"the checks of {at} are not known", ci.error or "they are being read"
        return CiVerdict(CiState.UNREAD, f"{said}: {why}", opens, changes, said)
    counted = [one for one in ci.checks if not _matches(one.name, policy.ignore)]
    missing, relevant = _relevant(policy, counted, ci.required)
    if failed := [one for one in relevant if one.state is CheckState.FAILED]:
        why = f"checks failed: {_named(failed)} of {at}"
        changes = changes if opens else None
        return CiVerdict(CiState.FAILED, why, opens, changes, "checks failed")
    pending = [one for one in relevant if one.state is CheckState.PENDING]
    if not relevant and not missing and ci.fresh:
        return _none(policy, at, since, now, opens)
    if pending or missing:
        waits = _named(pending) if pending else some(missing, MOST_NAMED)
        said = f"waits for checks of {at}"
        why = f"{said}: {waits}"
        if late:
            why = f"{why}; {_waited(policy, 'already')}"
            return CiVerdict(CiState.LATE, why, headline=said)
        return CiVerdict(CiState.PENDING, why, opens, changes, said)
    if ci.error:
        said = f"the checks of {at} can't be read again"
        return CiVerdict(CiState.UNREAD, f"{said}: {ci.error}", opens, changes, said)
    if not ci.fresh:
        return CiVerdict(CiState.PENDING, f"lists the checks of {at} again", opens, changes)
    return CiVerdict(CiState.PASSED, f"{len(relevant)} checks of {at} passed")


def _none(policy: CheckPolicy, at: str, since: float, now: float, opens: float | None) -> CiVerdict:
    """Return what it means that a commit has no check that counts."""
    decided_at = since + policy.none_after
    if now < decided_at:
        why = f"{at} has no checks yet"
        opens = decided_at if policy.none is Otherwise.DEPLOY else opens
        return CiVerdict(CiState.PENDING, why, opens, decided_at)
    if policy.none is Otherwise.DEPLOY:
        return CiVerdict(CiState.PASSED, f"{at} has no checks")
    why = f"{at} has had no checks for {for_people(policy.none_after)}"
    return CiVerdict(CiState.NONE, why, opens, opens)


def _relevant(
    policy: CheckPolicy, checks: Sequence[Check], required: tuple[Required, ...] | None
) -> tuple[list[str], list[Check]]:
    """Return what no check is, for people, and the checks that must pass."""
    wanted = named_by(policy)
    if not wanted and policy.need is Need.REQUIRED:
        # These names are not globs.
        counted = [one for one in required or () if not _matches(one.name, policy.ignore)]
        wanted = [(_called(one, checks), one.is_met_by) for one in counted]
    if not wanted:
        return [], list(checks)
    missing = [name for name, fits in wanted if not any(map(fits, checks))]
    return missing, [one for one in checks if any(fits(one) for _, fits in wanted)]


def named_by(policy: CheckPolicy) -> list[tuple[str, Fits]]:
    """Return the names in a rule, each with what tells its checks."""

    def named(glob: str) -> Fits:
        return lambda check: name_matches(glob, check.name)

    def of_app(app: str, glob: str) -> Fits:
        return lambda check: check.app.lower() == app.lower() and name_matches(glob, check.name)

    by_name = [(one, named(one)) for one in policy.names]
    return by_name + [(one, of_app(*one.split("/", 1))) for one in policy.of_apps]


def _called(required: Required, checks: Sequence[Check]) -> str:
    """Return a required check for people, with its app if only that one's counts."""
    if required.app_id is None:
        return required.name
    apps = (one.app for one in checks if one.app and one.app_id == required.app_id)
    return f"{required.name} ({next(apps, f'app {required.app_id}')})"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(name_matches(pattern, name) for pattern in patterns)


def _named(checks: Sequence[Check]) -> str:
    names = [f"{one.name} ({one.app})" if one.app else one.name for one in checks]
    return some(names, MOST_NAMED)


def _waited(policy: CheckPolicy, how: str) -> str:
    return f"waited {how} for {for_people(policy.timeout)}, the most by `checks.timeout`"
