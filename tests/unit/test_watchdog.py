"""What the looks at a backend say of a deployment that does not move on."""

import pytest

from bridge.core.lifecycle import State
from bridge.core.tracking import Shown, Sight, Timing, Verdict, verdict
from tests.fakes.journey import deployment

TIMING = Timing(lost=10.0, untold=120.0, unclosed=30.0)
GONE = Shown(present=False, open=False, idle=True)
JOB = Shown(present=True, open=False, idle=False)
BUILDS = Shown(present=True, open=True, idle=False)
UNTOLD = Shown(present=False, open=False, idle=None)
BLOCKED = Shown(present=False, open=False, idle=False, blocked=True)
UNWATCHED = {"watched_since": 80.0, "state": State.QUEUED}
UNCLOSED = Shown(present=True, open=True, idle=True)


@pytest.mark.parametrize(
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
        (
            "gone from a queue before its turn can have come",
            Sight(80.0),
            UNWATCHED | {"shown": BLOCKED},
            "dropped",
        ),
        (
            "never seen, and its turn can't have come",
            Sight(80.0),
            {"watched_since": 80.0, "shown": BLOCKED},
            "wait",
        ),
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


def test_what_is_shown_starts_the_waiting_anew() -> None:
    sight = Sight(0.0).after(GONE, 5.0).after(JOB, 6.0).after(GONE, 7.0)

    assert (sight.since, sight.seen_at) == (6.0, 6.0)


def test_a_failed_look_proves_nothing_of_what_was_there_meanwhile() -> None:
    sight = Sight(0.0).after(UNCLOSED, 1.0).after(UNCLOSED, 2.0).blinded(3.0)

    assert (sight.since, sight.seen_at, sight.idle_since) == (3.0, 2.0, None)


def test_an_open_record_is_idle_since_the_first_of_an_unbroken_run_of_looks() -> None:
    sight = Sight(0.0).after(UNCLOSED, 1.0).after(BUILDS, 2.0).after(UNCLOSED, 3.0)

    assert sight.after(UNCLOSED, 4.0).idle_since == 3.0
    assert sight.after(Shown(present=True, open=True, idle=None), 4.0).idle_since is None
