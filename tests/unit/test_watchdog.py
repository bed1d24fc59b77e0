"""What the looks at a backend say of a deployment that does not move on."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.lifecycle import LOSABLE, Deployment, State
from bridge.core.tracking import Shown, Sight, Timing, Verdict, verdict
from tests.fakes.journey import deployment
from tests.worlds.rows import each_row

TIMING = Timing(lost=10.0, untold=120.0, unclosed=30.0)
GONE = Shown(present=False, open=False, idle=True)
JOB = Shown(present=True, open=False, idle=False)
BUILDS = Shown(present=True, open=True, idle=False)
UNTOLD = Shown(present=False, open=False, idle=None)
BLOCKED = Shown(present=False, open=False, idle=False, blocked=True)
UNWATCHED = {"watched_since": 80.0, "state": State.QUEUED}
TURN = {"shown": BLOCKED}
UNCLOSED = Shown(present=True, open=True, idle=True)


@each_row(
    ("point", "sight", "facts", "expected"),
    [
        ("too early", Sight(95.0), {}, "wait"),
        ("never shown, and nothing explains it", Sight(0.0), {}, "wait"),
        ("never shown for long", Sight(-30.0), {}, "lost"),
        ("never shown, and looks have failed", Sight(80.0), {"watched_since": 80.0}, "lost"),
        ("gone from a queue that was watched", Sight(80.0, 80.0), {}, "dropped"),
        ("gone, and looks have failed", Sight(85.0, 80.0), {"watched_since": 85.0}, "lost"),
        ("gone, but its record was known", Sight(80.0, 80.0), {"backend_id": "dep-1"}, "untold"),
        ("no queue is told", Sight(0.0, 0.0), {"shown": UNTOLD}, "wait"),
        ("no queue is told for long", Sight(-30.0), {"shown": UNTOLD}, "untold"),
        ("gone from a queue that nobody has watched", Sight(80.0), UNWATCHED, "lost"),
        ("gone before its turn can have come", Sight(80.0), UNWATCHED | TURN, "dropped"),
        ("never seen before its turn", Sight(80.0), {"watched_since": 80.0} | TURN, "wait"),
        ("open without a job", Sight(100.0, 100.0, idle_since=80.0), {}, "wait"),
        ("open without a job for long", Sight(100.0, 100.0, idle_since=60.0), {}, "unclosed"),
    ],
)
def test_a_deployment_is_judged_by_the_evidence(
    point: str, sight: Sight, facts: dict[str, object], expected: str
) -> None:
    known = {"state": State.ASKED, "backend_id": None} | facts
    asked = deployment(asked_at=-40.0, state=known.pop("state"), backend_id=known.pop("backend_id"))
    more = {"watched_since": -50.0, "shown": GONE} | known

    found = verdict(asked, sight, now=100.0, timing=TIMING, **more)  # type: ignore[arg-type]

    assert found is Verdict(expected), point


def test_a_failed_look_proves_nothing_and_what_is_shown_starts_the_waiting_anew() -> None:
    shown = Sight(0.0).after(GONE, 5.0).after(JOB, 6.0).after(GONE, 7.0)
    blind = Sight(0.0).after(UNCLOSED, 1.0).after(UNCLOSED, 2.0).blinded(3.0)
    idle = Sight(0.0).after(UNCLOSED, 1.0).after(BUILDS, 2.0).after(UNCLOSED, 3.0)
    at_work = Sight(0.0).after(Shown(present=True, open=False, idle=False, at_work=True), 1.0)

    assert (shown.since, shown.seen_at) == (6.0, 6.0)
    assert (blind.since, blind.seen_at, blind.idle_since) == (3.0, 2.0, None)
    assert idle.after(UNCLOSED, 4.0).idle_since == 3.0  # since the first of an unbroken run
    assert idle.after(Shown(present=True, open=True, idle=None), 4.0).idle_since is None
    assert at_work.after(GONE, 2.0).began
    assert not at_work.blinded(2.0).after(GONE, 3.0).began


# ── whatever the looks show ──────────────────────────────────────────────────

FAILED_LOOK = None
SHOWN = st.sampled_from([FAILED_LOOK, GONE, GONE, GONE, JOB, BUILDS, UNTOLD, BLOCKED, UNCLOSED])
LOOKS = st.lists(st.tuples(st.sampled_from([0.5, 2.0, 5.0, 40.0]), SHOWN), min_size=1, max_size=40)


@dataclass(frozen=True)
class Judged:
    """A deployment after some looks, and what is true of them."""

    verdict: Verdict
    asked: Deployment
    shown: Shown
    quiet: float
    was_there: bool
    unbroken: bool


@st.composite
def judged(draw: st.DrawFn) -> Judged:
    """Looks of one process at a deployment that it, or one before it, has asked for."""
    asked = deployment(
        asked_at=draw(st.sampled_from([-100.0, 0.0, 50.0])),
        state=draw(st.sampled_from(sorted(LOSABLE))),
        backend_id=draw(st.sampled_from([None, None, "dep-1"])),
    )
    now, sight, watched_since = 0.0, Sight(0.0), 0.0
    last, seen_at, trouble_at = 0.0, None, draw(st.sampled_from([-100.0, 0.0]))
    watched_since = trouble_at
    shown: Shown | None = GONE
    for pause, shown in [*draw(LOOKS), (1.0, draw(SHOWN.filter(bool)))]:
        now += pause
        if shown is FAILED_LOOK:
            sight, last, trouble_at = sight.blinded(now), now, now
            watched_since = now + 0.1
            continue
        sight = sight.after(shown, now)
        if shown.present:
            last, seen_at = now, now
    assert shown is not None
    found = verdict(asked, sight, now=now, watched_since=watched_since, shown=shown, timing=TIMING)
    there_at = asked.asked_at if seen_at is None else seen_at
    assert there_at is not None
    was_there = seen_at is not None or asked.state is State.QUEUED
    return Judged(found, asked, shown, now - last, was_there, trouble_at <= there_at <= now)


@settings(max_examples=2 * settings().max_examples)
@given(judged())
def test_nothing_is_claimed_or_asked_for_again_but_by_the_evidence(one: Judged) -> None:
    verdict, shown = one.verdict, one.shown
    if verdict is Verdict.DROPPED:  # a person is named only where nothing else can have taken it
        assert one.was_there
        assert one.asked.backend_id is None
        assert one.unbroken or shown.blocked
    if verdict is Verdict.LOST:  # nothing is asked for again that may have been built
        assert not shown.present
        assert shown.idle is not None
        assert one.asked.backend_id is None
        assert not (shown.blocked and one.was_there)
    if verdict in (Verdict.LOST, Verdict.DROPPED, Verdict.UNTOLD):
        assert one.quiet > TIMING.lost
        assert not shown.present
