"""How often, how fast and how well apps are deployed: the figures of `report`. Pure.

`DEFINITIONS` says what each figure means; the code below follows it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bridge.core.apps import App
from bridge.core.events import Action
from bridge.core.holds import Gate
from bridge.core.lifecycle import LIVE, State

DAY = 86_400.0

ENOUGH = 3
"""Fewer cases than this give no rate, median or 90th percentile."""

LONGEST_LEAD = 365 * DAY
"""A lead time of more seconds than this tells of a clock that was wrong."""

DEFINITIONS: Mapping[str, str] = {
    "deployments": "deploys and redeploys that went live, also those found unhealthy;"
    " rollbacks are counted apart",
    "lead time": "from when a push was recorded (its commits may be older) until a version with"
    " it was live; a push that a newer one replaced counts with that one",
    "change failure rate": "of the deploys and redeploys that ended as done, unhealthy or failed,"
    " the share that failed, was unhealthy or was rolled back from",
    "time to restore": "from the first failed or unhealthy one of an app until its next"
    " done one, a rollback too, was live; without `verify`, done is the backend's word, and what"
    " others deploy at the backend is not counted",
}
"""What each figure means."""

LEFT_OUT = (
    "cancelled, superseded and unknown outcomes are not counted as ended, nor are previews;"
    " a lead time of more than a year is a wrong clock's;"
    f" below {ENOUGH} cases there is no figure; p90: nine of ten took no longer"
)


@dataclass(frozen=True, slots=True)
class EndedDeployment:
    """What a report needs to know of a deployment; see `core.lifecycle.Deployment`."""

    id: str
    seq: int
    app_id: str
    app: str
    action: Action
    pushed: bool
    state: State
    created_at: float
    live_at: float | None
    finished_at: float
    superseded_by: str | None = None
    target: str | None = None
    deployed_commit: str | None = None


OfApp = TypeVar("OfApp", "EndedDeployment", "HeldSpan")


def without_previews(ended: Iterable[OfApp], apps: Iterable[App]) -> list[OfApp]:
    """Return those of people's apps: what is tried for a pull request is delivered to nobody.

    Args:
        apps: all that are known, deleted ones too.
    """
    previews = {app.id for app in apps if app.marker}
    return [one for one in ended if one.app_id not in previews]


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, in seconds.

    Attributes:
        median, p90: None if there were too few.
    """

    cases: int
    median: float | None = None
    p90: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an app, or of all.

    Attributes:
        live: deploys and redeploys that went live.
        per_day: how many of them on a day; None if the period is too short to tell.
        ended: those that ended as done, unhealthy or failed.
        failed, unhealthy, rolled_back: how many of them; each counts as one of the three.
        failure_rate: their share, 0 to 1; None if too few ended.
        open: failures that were not restored by the end of the period.
    """

    live: int
    per_day: float | None
    lead: Spread
    ended: int
    failed: int
    unhealthy: int
    rolled_back: int
    failure_rate: float | None
    restore: Spread
    open: int
    rollbacks: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period.

    Attributes:
        since: when it begins; later than asked for if nothing older is kept.
    """

    since: float
    until: float
    all: Figures
    apps: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What has happened to one app; `leads`: when each push was live, and how long it took."""

    ended: Sequence[EndedDeployment]
    left: frozenset[str]
    leads: Sequence[tuple[float, float]]
    restored: Sequence[float]
    open: int


def _by_app(ended: Iterable[EndedDeployment]) -> dict[str, list[EndedDeployment]]:
    by_app: defaultdict[str, list[EndedDeployment]] = defaultdict(list)
    for one in sorted(ended, key=lambda one: (one.finished_at, one.id)):
        by_app[one.app_id].append(one)
    return by_app


def report_of(ended: Iterable[EndedDeployment], since: float, until: float) -> Report:
    """Return the figures of a period."""
    by_app = _by_app(ended)
    facts = {app_id: _facts(those) for app_id, those in by_app.items()}
    days = (until - since) / DAY
    labels = {app_id: those[-1].app for app_id, those in by_app.items()}
    by_label = sorted(facts, key=lambda app_id: (labels[app_id], app_id))
    twice = {label for label in labels.values() if list(labels.values()).count(label) > 1}
    return Report(
        since,
        until,
        _figures(list(facts.values()), days),
        {
            f"{labels[id_]} ({id_})" if labels[id_] in twice else labels[id_]: _figures(
                [facts[id_]], days
            )
            for id_ in by_label
        },
    )


def _facts(ended: Sequence[EndedDeployment]) -> _Facts:
    restored, still_open = _restored(ended)
    return _Facts(ended, _left(ended), _leads(ended), restored, still_open)


def _figures(facts: Sequence[_Facts], days: float) -> Figures:
    made = [one for app in facts for one in app.ended if one.action is not Action.ROLLBACK]
    left = frozenset[str]().union(*(app.left for app in facts))
    failed = sum(one.state is State.FAILED for one in made)
    unhealthy = sum(one.state is State.UNHEALTHY for one in made)
    rolled_back = sum(one.state is State.DONE and one.id in left for one in made)
    live = sum(one.state in LIVE for one in made)
    bad, number = failed + unhealthy + rolled_back, live + failed
    every = [one for app in facts for one in app.ended]
    return Figures(
        live=live,
        per_day=live / days if days >= 1 else None,
        lead=_spread([lead for app in facts for _, lead in app.leads]),
        ended=number,
        failed=failed,
        unhealthy=unhealthy,
        rolled_back=rolled_back,
        failure_rate=bad / number if number >= ENOUGH else None,
        restore=_spread([took for app in facts for took in app.restored]),
        open=sum(app.open for app in facts),
        rollbacks=sum(one.action is Action.ROLLBACK and one.state in LIVE for one in every),
        unknown=sum(one.state is State.UNKNOWN for one in every),
    )


def _spread(seconds: Sequence[float]) -> Spread:
    if len(seconds) < ENOUGH:
        return Spread(len(seconds))
    ordered, number = sorted(seconds), len(seconds)
    middle = (ordered[(number - 1) // 2] + ordered[number // 2]) / 2
    # The nearest rank: a time that one of them did take.
    return Spread(number, middle, ordered[-(-number * 9 // 10) - 1])


def _leads(ended: Sequence[EndedDeployment]) -> list[tuple[float, float]]:
    """Return when a version with each push was live, and how long it took until then."""
    by_id = {one.id: one for one in ended}
    found: list[tuple[float, float]] = []
    for one in ended:
        end: EndedDeployment | None = one
        while end is not None and end.state is State.SUPERSEDED:
            end = by_id.get(end.superseded_by or "")
        brought = end is not None and end.state in LIVE and end.action is Action.DEPLOY
        pushed = one.action is Action.DEPLOY and one.pushed
        if brought and end is not None and end.live_at is not None and pushed:
            found.append((end.live_at, max(0.0, end.live_at - one.created_at)))
    return [(at, lead) for at, lead in found if lead <= LONGEST_LEAD]


def _served(ended: Sequence[EndedDeployment]) -> list[tuple[float, EndedDeployment]]:
    """Return what went live and when, oldest first."""
    live = [(one.live_at, one) for one in ended if one.state in LIVE and one.live_at is not None]
    return sorted(live, key=lambda pair: (pair[0], pair[1].id))


def _left(ended: Sequence[EndedDeployment]) -> frozenset[str]:
    """Return the deployments whose versions rollbacks led away from, to older ones.

    A rollback after another one leads away from the version that the first has brought. A commit
    that was deployed again is the same version.
    """
    left: set[str] = set()
    brought: list[EndedDeployment] = []  # those that have brought what is served
    by_id = {one.id: one for one in ended}
    for _, one in _served(ended):
        if one.action is not Action.ROLLBACK:
            commit = one.deployed_commit
            brought = [*(was for was in brought if commit and was.deployed_commit == commit), one]
            continue
        left |= {was.id for was in brought if one.target is not None and one.target < was.id}
        brought = [by_id[one.target]] if one.target in by_id else []
    return frozenset(left)


def _restored(ended: Sequence[EndedDeployment]) -> tuple[list[float], int]:
    """Return how long each failure lasted, and how many are not over.

    What fails while the app has failed already is the same failure.
    """
    turns: list[tuple[float, bool]] = [
        (one.live_at if one.live_at is not None else one.finished_at, one.state is State.DONE)
        for one in ended
        if one.state in (*LIVE, State.FAILED)
    ]
    restored: list[float] = []
    since: float | None = None
    for at, healthy in sorted(turns):
        if healthy and since is not None:
            restored.append(at - since)
            since = None
        elif not healthy and since is None:
            since = at
    return restored, int(since is not None)


# ── the parts of a period ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Stretch:
    """The figures of a part of a period; see `Figures`.

    Attributes:
        since, until: seconds since 1970.
        bad: those of the ended ones that failed, were unhealthy or were rolled back from.
    """

    since: float
    until: float
    ended: int
    bad: int
    lead: Spread

    @property
    def failure_rate(self) -> float | None:
        return self.bad / self.ended if self.ended >= ENOUGH else None


def stretches_of(
    ended: Iterable[EndedDeployment], since: float, until: float, length: float
) -> list[Stretch]:
    """Return the figures of each part of a period, oldest first; only the first may be shorter."""
    facts = [_facts(those) for those in _by_app(ended).values()]
    made = [
        (one.finished_at, one.state is not State.DONE or one.id in app.left)
        for app in facts
        for one in app.ended
        if one.action is not Action.ROLLBACK and one.state in (*LIVE, State.FAILED)
    ]
    leads = [lead for app in facts for lead in app.leads]
    edges = [until]
    while edges[-1] > since:
        edges.append(max(since, edges[-1] - length))
    found: list[Stretch] = []
    for begin, end in zip(edges[1:], edges, strict=False):
        bad = [is_bad for at, is_bad in made if begin < at <= end]
        spread = _spread([lead for at, lead in leads if begin < at <= end])
        found.append(Stretch(begin, end, len(bad), sum(bad), spread))
    return found[::-1]


# ── what gates have held ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HeldSpan:
    """The time for which some gates together held an ended deployment.

    Attributes:
        gates: their names; () if they were not recorded.
        since, until: seconds since 1970.
    """

    deployment: str
    app_id: str
    app: str
    gates: tuple[str, ...]
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class HeldTime:
    """Seconds for which a gate held deployments, and their number; `gate`: "" if not recorded."""

    gate: str
    seconds: float
    deployments: int


def held_by_gate(spans: Iterable[HeldSpan], since: float) -> list[HeldTime]:
    """Return how long each gate held from a time on; a gate counts beside others, too."""
    seconds: defaultdict[str, float] = defaultdict(float)
    deployments: defaultdict[str, set[str]] = defaultdict(set)
    for span in spans:
        for gate in span.gates or ("",):
            seconds[gate] += max(0.0, span.until - max(span.since, since))
            deployments[gate].add(span.deployment)
    return [
        HeldTime(gate, seconds[gate], len(deployments[gate]))
        for gate in (*Gate, "")
        if seconds[gate]
    ]
