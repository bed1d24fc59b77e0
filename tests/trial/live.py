"""Scenarios of what is live: what the bridge says of it, where others have a hand in it.

The end of every scenario compares `apps` with what Dokploy serves; these have something to find.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.chaos.dokploy.faults import resets
from tests.trial.alone import as_person, cancel_one, losing_answers, own_bridge
from tests.trial.comparing import FINAL
from tests.trial.dokploy import until
from tests.trial.journeys import LONG, an_image
from tests.trial.rolling import keeping
from tests.trial.scene import Pushed, Scene
from tests.trial.serving import RECONCILED_WITHIN
from tests.trial.shown import card_says, in_slack, places, says_live
from tests.trial.stage import Scenario, Unfit


def deployed(scene: Scene, **commit: Any) -> Pushed:
    """Push, and wait until it is done."""
    pushed = scene.push("done", **commit)
    scene.state(pushed.delivery, "done")
    return pushed


def may_go_back(scene: Scene, to: str, *words: str) -> None:
    """Expect that a rollback to a version is planned, not refused."""
    label = scene.service.label
    done = scene.trial.bridge.cli("rollback", label, *words, "--plan")
    asked = " ".join(("rollback", *words, "--plan"))
    scene.expect(done.returncode == 0, f"{asked} is refused: {done.stderr.strip()}")
    planned = f"to {to[:7]}" in done.stdout or f"to {to}" in done.stdout
    if done.returncode == 0:
        scene.expect(planned, f"{asked} does not lead to {to[:12]}: {done.stdout.strip()}")


# ── a person deploys, or rolls back, in Dokploy ──────────────────────────────


def person_deploys(scene: Scene) -> None:
    """Deploy a newer commit in Dokploy, past the bridge; then go back to what was before."""
    first = deployed(scene)
    scene.wanted.live = scene.repo.commit_files(message="feat: by hand")
    scene.record(scene.by_hand(), "done")
    scene.noticed()
    may_go_back(scene, first.commit)
    may_go_back(scene, first.commit, "--to", first.commit)


def others_alone(scene: Scene) -> None:
    """Deploy only in Dokploy: the bridge says what is live, although it has never deployed it."""
    for _ in range(2):
        scene.wanted.live = scene.repo.commit_files()
        scene.record(scene.by_hand(), "done")
        scene.wanted.others += scene.noticed()


def person_rolls_back(scene: Scene) -> None:
    """Roll back in Dokploy, which makes no record of it: the containers alone show it."""
    deployed(scene)
    second = deployed(scene)
    if scene.container() is None:
        raise Unfit("no container can be seen")
    kept = scene.trial.database.rows(
        'SELECT r."rollbackId" FROM rollback r JOIN deployment d USING ("deploymentId")'
        ' WHERE d."applicationId" = %s ORDER BY r.version',
        scene.service.id,
    )
    scene.trial.dokploy.post("rollback.rollback", rollbackId=kept[0]["rollbackId"])
    scene.acted()
    scene.noticed()
    may_go_back(scene, second.commit, "--to", second.commit)


def person_stops(scene: Scene) -> None:
    """Stop in Dokploy, then start: meanwhile nothing is said to be live, wherever it was."""
    slack = in_slack(scene)
    pushed = deployed(scene)
    if scene.container() is None:
        raise Unfit("no container can be seen")
    for act, now in (("stop", "stopped"), ("start", "live")):
        scene.trial.dokploy.post(f"application.{act}", applicationId=scene.service.id)
        scene.acted()
        scene.wanted.others += scene.noticed()
        claim = scene.claim(pushed.delivery)
        fate = claim and claim["fate"]["now"]
        scene.expect(fate == now, f"after {act} its deployment is said to be {fate}")
        card_says(slack, f"is {now}")
        for place, words in places(scene, slack):
            told = "live" if says_live(words, pushed.commit) else "stopped"
            scene.expect(told == now, f"after {act} {place} says that its version is {told}")


# ── Dokploy can't record the end ─────────────────────────────────────────────

REFUSED = """
CREATE OR REPLACE FUNCTION trial_refuses() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the trial refuses it'; END $$;
CREATE OR REPLACE TRIGGER trial_refuses BEFORE UPDATE ON deployment FOR EACH ROW
WHEN (NEW.status = 'done' AND NEW."applicationId" = '{id}') EXECUTE FUNCTION trial_refuses();
"""
ALLOWED = "DROP TRIGGER IF EXISTS trial_refuses ON deployment"


@contextmanager
def done_refused(scene: Scene) -> Iterator[None]:
    """Refuse Dokploy's update of a record to `done`: it records `error`, and says so in the log."""
    database = scene.trial.database
    database.execute(REFUSED.format(id=scene.service.id))
    try:
        yield
    finally:
        database.execute(ALLOWED)


def error_recorded(scene: Scene) -> None:
    """Have Dokploy record `error` of what it serves, as when its database was away at the end."""
    first = deployed(scene)
    with done_refused(scene):
        pushed = scene.push("done", "unknown")
        scene.wanted.live = None
        scene.record(pushed.delivery, "error")
    scene.state(pushed.delivery, *FINAL)
    scene.noticed()
    may_go_back(scene, first.commit)
    may_go_back(scene, first.commit, "--to", first.commit)


def away_for(seconds: float) -> Callable[[Scene], None]:
    """Return the scenario of a database that is away as a build ends."""

    def act(scene: Scene) -> None:
        first = deployed(scene)
        pushed = scene.push("done", "unknown", sleep=LONG)
        scene.wanted.live = None
        record = scene.building(pushed.delivery)
        # The build ends in the midst of it.
        time.sleep(max(0.0, record.seen_at + LONG - seconds / 2 - time.monotonic()))

        def away() -> None:
            give_back = scene.trial.dokploy.lost_database()
            time.sleep(seconds)
            give_back()

        scene.harmed(away)
        scene.state(pushed.delivery, *FINAL, within=RECONCILED_WITHIN)
        scene.noticed()
        may_go_back(scene, first.commit, "--to", first.commit)

    return act


# ── a rollback that comes to nothing ─────────────────────────────────────────


def held_then_cancelled(scene: Scene) -> None:
    """Hold a rollback by another's lock while a fix waits, and cancel it: the fix is deployed."""
    label, first = scene.service.label, deployed(scene)
    deployed(scene)
    alice, bob = (as_person(scene.trial, name) for name in ("alice", "bob"))
    alice.json("lock", label, "--reason", "an incident")
    fix = scene.push("done")
    scene.state(fix.delivery, "waiting", "held")
    asked = bob.json("rollback", label, "--to", first.commit, "--yes")
    scene.wanted.states[asked["delivery"]] = {"cancelled"}
    scene.state(asked["delivery"], "waiting", "held")
    claim = scene.claim(fix.delivery)
    scene.expect(claim and claim["state"] != "superseded", "a held rollback supersedes the fix")
    claim = scene.claim(asked["delivery"])
    assert claim is not None
    cancel_one(scene, claim["id"])
    scene.state(asked["delivery"], "cancelled")
    alice.json("unlock", label)


def image_unanswered(scene: Scene) -> None:
    """Lose both requests of an image's rollback: the image is put back, or the repair is told."""
    proxy = losing_answers(scene.trial)
    bridge = own_bridge(scene, BRIDGE_DOKPLOY_URL=proxy.url)
    label = scene.service.label
    scene.state(scene.ask("deploy", "done"), "done")
    bridge.json("provider", "set", "docker", label, "--image", "busybox:2", "--yes")
    scene.state(scene.ask("deploy", "done"), "done")
    proxy.once["application.deploy"] = [resets(arrives=False)] * 2
    told = bridge.json("rollback", label, "--yes")
    scene.wanted.states[told["delivery"]] = {"unknown", "failed"}
    claim = scene.state(told["delivery"], *FINAL, within=120)

    stored = scene.trial.database.service("application", scene.service.id)["dockerImage"]
    repair = f"provider set docker {label} --image busybox:2"
    scene.expect(
        stored == "busybox:2" or repair in claim["note"],
        f"Dokploy's image is left at {stored}, and the note does not mend it: {claim['note']}",
    )
    listed = next(one for one in bridge.json("apps") if one["app"] == label)
    said = listed["source"]["image"]
    scene.expect(said == stored, f"apps says that its source is {said}; it is {stored}")
    scene.noticed()
    may_go_back(scene, "busybox:1", "--to", "busybox:1")
    if stored != "busybox:2":
        may_go_back(scene, "busybox:2", "--to", "busybox:2")


def image_read_again(scene: Scene) -> None:
    """Roll an image back: at once its source is said to be that image."""
    bridge, label = scene.trial.bridge, scene.service.label
    scene.state(scene.ask("deploy", "done"), "done")
    bridge.json("provider", "set", "docker", label, "--image", "busybox:2", "--yes")
    scene.state(scene.ask("deploy", "done"), "done")
    told = bridge.json("rollback", label, "--yes")
    scene.wanted.states[told["delivery"]] = {"done"}
    scene.state(told["delivery"], "done")
    listed = next(one for one in bridge.json("apps") if one["app"] == label)
    said = listed["source"]["image"]
    scene.expect(said == "busybox:1", f"after its own rollback its source is said to be {said}")


# ── an older copy of the bridge's data ───────────────────────────────────────


def restored_copy(scene: Scene) -> None:
    """Restore a copy from before the newest deployment, as nothing else tells of it."""
    bridge = own_bridge(scene)
    first = deployed(scene)
    bridge.leave()
    data, copy = bridge.folder / "data", bridge.folder / "copy"
    shutil.copytree(data, copy)
    bridge.start()
    forgotten = deployed(scene)
    scene.wanted.persons.add(scene.record(forgotten.delivery, "done").first["title"])
    del scene.wanted.states[forgotten.delivery]
    bridge.kill()
    shutil.rmtree(data)
    copy.rename(data)
    bridge.start()
    scene.acted()
    scene.noticed()
    may_go_back(scene, first.commit, "--to", first.commit)


# ── Dokploy says done, and something else runs ───────────────────────────────


OLDER = 10.0
"""Seconds for which the old version has run: the age of containers tells where no log does."""


def old_one_serves(mark: str, state: str) -> Callable[[Scene], None]:
    """Return the scenario of a deployment that Dokploy calls done while the old image serves.

    Args:
        mark: the file that has the engine keep it.
        state: of the deployment: without a rule it is judged after ten minutes, and `apps` within
            one.
    """

    def act(scene: Scene) -> None:
        deployed(scene)
        before = scene.container()
        if before is None:
            raise Unfit("no container can be seen")
        time.sleep(OLDER)
        pushed = scene.push(state, mark=mark)
        scene.wanted.live = pushed.commit  # by Dokploy's records
        scene.record(pushed.delivery, "done")
        scene.state(pushed.delivery, *FINAL)
        until(lambda: not scene.trial.dokploy.queue(scene.service), 10, "nothing is built")
        if scene.container() != before:
            raise Unfit("the host's Docker serves the new image")
        scene.noticed()

    return act


AWAY = ("DB_STOP", "DB_START")

LIVE = [
    Scenario("person-deploys", person_deploys, keeping),
    Scenario("verified-person-deploys", person_deploys, keeping),
    Scenario("others-alone", others_alone),
    Scenario("person-rolls-back", person_rolls_back, keeping),
    Scenario("person-stops", person_stops),
    Scenario("error-recorded", error_recorded, keeping),
    *(
        Scenario(f"database-away-{seconds}s", away_for(seconds), keeping, AWAY)
        for seconds in (3, 6, 10)
    ),
    Scenario("rollback-held-cancelled", held_then_cancelled, keeping),
    Scenario("image-rollback-unanswered", image_unanswered, an_image),
    Scenario("image-rollback", image_read_again, an_image),
    Scenario("restored-copy", restored_copy, keeping),
    Scenario("old-container", old_one_serves(".stay", "done")),
    Scenario("verified-old-container", old_one_serves(".stay", "unhealthy")),
    Scenario("old-image", old_one_serves(".stale", "done")),
    Scenario("verified-old-image", old_one_serves(".stale", "unhealthy")),
]
