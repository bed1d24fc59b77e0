"""Scenarios of harm: each fault at each stage of a deployment.

A stage is the state of the deployment at the time of the fault:

    taken    its webhook was just answered, and the bridge is requesting it
    waiting  it waits in the bridge, behind another deployment of its app
    queued   it waits in Dokploy's queue
    running  its build runs
    ended    its record has just ended

Every push must still be built, and only once: a deployment that Dokploy lost is requested once
more, one that it finished is not, and a newer push may replace a lost one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.trial.journeys import LONG, queued, running_and_waiting
from tests.trial.scene import Scene, Trial
from tests.trial.stage import Scenario


@dataclass(frozen=True)
class Fault:
    """A way to harm the bridge or Dokploy.

    Attributes:
        harm: returns the function that does the harm and waits for the recovery.
        cuts_off: Dokploy loses its queue and its builds.
    """

    harm: Callable[[Trial], Callable[[], None]]
    needs: tuple[str, ...] = ()
    cuts_off: bool = False


Stage = Callable[[Scene, Fault], None]


def taken(scene: Scene, _: Fault) -> None:
    scene.push("done", sleep=2)


def waiting(scene: Scene, fault: Fault) -> None:
    first, _ = running_and_waiting(scene)
    if fault.cuts_off:  # the waiting one is newer and replaces it
        scene.wanted.states[first.delivery] = {"cancelled", "superseded"}


def waits_in_queue(scene: Scene, _: Fault) -> None:
    pushed = queued(scene)
    scene.state(pushed.delivery, "queued")


def runs(scene: Scene, _: Fault) -> None:
    pushed = scene.push("done", sleep=LONG)
    record = scene.building(pushed.delivery)
    claim = scene.state(pushed.delivery, "running")
    said, real = claim.get("backend_id"), record.id
    scene.expect(said == real, f"running: backend_id {said} ≠ {real}")


def ended(scene: Scene, _: Fault) -> None:
    pushed = scene.push("done", sleep=1)
    scene.record(pushed.delivery, "done")


STAGES: dict[str, Stage] = {
    "taken": taken,
    "waiting": waiting,
    "queued": waits_in_queue,
    "running": runs,
    "ended": ended,
}

FAULTS = {
    "bridge-killed": Fault(lambda trial: trial.bridge.restart),
    "dokploy-restarted": Fault(lambda trial: trial.dokploy.restart, ("STOP", "START"), True),
    "dokploy-killed": Fault(lambda trial: trial.dokploy.kill, ("KILL", "START"), True),
    "database-away": Fault(lambda trial: trial.dokploy.lose_database, ("DB_STOP", "DB_START")),
}


def harmed_at(stage: Stage, fault: Fault) -> Callable[[Scene], None]:
    """Return the scenario of a fault at a stage."""

    def act(scene: Scene) -> None:
        stage(scene, fault)
        scene.harmed(fault.harm(scene.trial))

    return act


# ── what goes on while Dokploy's database is away ────────────────────────────


def build_ends_meanwhile(
    scene: Scene, *honest: str, restarted: bool = False, **commit: Any
) -> None:
    """Let a build end while the database is away: its record stays `running`.

    Only the log tells the outcome, so `unknown` is honest as well; building again is not. After
    a restart the record is `cancelled`, as that of a build which was cut off.
    """
    pushed = scene.push(*honest, "unknown", sleep=5, **commit)
    scene.building(pushed.delivery)
    scene.state(pushed.delivery, "running")
    dokploy = scene.trial.dokploy

    def harm() -> None:
        dokploy.lose_database()
        if restarted:
            dokploy.restart()

    scene.harmed(harm)


def build_done_meanwhile(scene: Scene) -> None:
    build_ends_meanwhile(scene, "done")


def build_failed_meanwhile(scene: Scene) -> None:
    build_ends_meanwhile(scene, "failed", fail="no space left on device")


def build_done_meanwhile_then_restarted(scene: Scene) -> None:
    build_ends_meanwhile(scene, "done", restarted=True)


def build_failed_meanwhile_then_restarted(scene: Scene) -> None:
    build_ends_meanwhile(scene, "failed", restarted=True, fail="no space left on device")


def turn_comes_meanwhile(scene: Scene) -> None:
    """Let a queued job get its turn while the database is away: Dokploy drops it."""
    queued(scene, 4)
    scene.harmed(scene.trial.dokploy.lose_database)


def pushed_meanwhile(scene: Scene) -> None:
    """Push while the database is away: the push waits and is built afterwards."""
    give_back = scene.trial.dokploy.lost_database()
    scene.push("done")
    time.sleep(5)
    scene.harmed(give_back)


def pushed_while_dokploy_is_down(scene: Scene) -> None:
    """Push twice while Dokploy is down: the newest push is built."""
    start = scene.trial.dokploy.stopped()
    scene.push("done", "superseded")
    scene.push("done")
    scene.harmed(start)


def person_after_a_restart(scene: Scene) -> None:
    """Lose our job in a restart while a person deploys: theirs is not taken for ours."""
    pushed = queued(scene)
    scene.state(pushed.delivery, "queued")
    scene.harmed(scene.trial.dokploy.restart)
    scene.by_hand()


def restarted_as_it_is_asked_for(scene: Scene) -> None:
    """Kill Dokploy as soon as it has accepted: the lost job is requested once more."""
    pushed = scene.push("done", sleep=3)
    scene.job(pushed.delivery, "active")
    scene.harmed(scene.trial.dokploy.kill)


AWAY = ("DB_STOP", "DB_START")

FAULTY = [
    *(
        Scenario(f"{at}-{name}", harmed_at(stage, fault), needs=fault.needs)
        for name, fault in FAULTS.items()
        for at, stage in STAGES.items()
    ),
    Scenario("build-done-database-away", build_done_meanwhile, needs=AWAY),
    Scenario("build-failed-database-away", build_failed_meanwhile, needs=AWAY),
    Scenario(
        "build-done-database-away-restarted",
        build_done_meanwhile_then_restarted,
        needs=(*AWAY, "STOP", "START"),
    ),
    Scenario(
        "build-failed-database-away-restarted",
        build_failed_meanwhile_then_restarted,
        needs=(*AWAY, "STOP", "START"),
    ),
    Scenario("turn-comes-database-away", turn_comes_meanwhile, needs=AWAY),
    Scenario("pushed-database-away", pushed_meanwhile, needs=AWAY),
    Scenario("pushed-dokploy-down", pushed_while_dokploy_is_down, needs=("STOP", "START")),
    Scenario("person-after-restart", person_after_a_restart, needs=("STOP", "START")),
    Scenario("asked-dokploy-killed", restarted_as_it_is_asked_for, needs=("KILL", "START")),
]
