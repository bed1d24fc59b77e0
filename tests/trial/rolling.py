"""Scenarios of the way back: what a real Dokploy keeps, restores and shows."""

from tests.trial.dokploy import Service
from tests.trial.repositories import Repo
from tests.trial.scene import Scene, Trial
from tests.trial.stage import Scenario, application

REGISTRY = """
INSERT INTO registry ("registryId", "registryName", username, password, "registryUrl", "createdAt",
    "selfHosted", "organizationId")
SELECT 'trial', 'trial', 'robot', 'secret', 'registry.example.test', now()::text, 'cloud', id
FROM organization LIMIT 1 ON CONFLICT DO NOTHING RETURNING 1
"""


def keeping(trial: Trial, name: str) -> tuple[Service, Repo]:
    """Make an application of which Dokploy keeps what it builds."""
    made, repo = application(trial, name)
    trial.database.rows(REGISTRY)
    wanted = {"rollbackActive": True, "rollbackRegistryId": "trial"}
    trial.dokploy.post("application.update", applicationId=made.id, **wanted)
    return made, repo


def rollback(scene: Scene) -> None:
    """Go back to the version before, which Dokploy restores without a record."""
    first = scene.push("done")
    scene.state(first.delivery, "done")
    second = scene.push("done")
    scene.state(second.delivery, "done")
    plan = scene.trial.bridge.json("rollback", scene.service.label, "--plan")
    scene.expect(plan["way"] == "kept", f"the way back: {plan}")
    scene.expect(plan["to"]["commit"] == first.commit, f"back to {plan['to']}")

    told = scene.trial.bridge.json("rollback", scene.service.label, "--yes")
    # Where no container is seen, what comes of it can't be told.
    honest = "unknown" if scene.container() is None else "done"
    claim = scene.state(told["delivery"], honest)
    scene.wanted.states[told["delivery"]] = {honest}
    scene.wanted.live = second.commit
    scene.expect("is served again" in claim["note"], f"the note: {claim['note']}")
    scene.expect(len(scene.records()) == 2, f"records: {len(scene.records())}")
    locks = scene.trial.bridge.json("locks")
    scene.expect(scene.service.label in str(locks), f"locks: {locks}")


def without_rollbacks(scene: Scene) -> None:
    """Be told what to switch on where Dokploy keeps nothing."""
    scene.state(scene.push("done").delivery, "done")
    scene.state(scene.push("done").delivery, "done")
    done = scene.trial.bridge.cli("rollback", scene.service.label, "--plan")
    scene.expect(done.returncode != 0, f"it goes back: {done.stdout}")
    scene.expect("switch on rollbacks for the app" in done.stderr, f"told: {done.stderr}")


ROLLING = [
    Scenario("rollback", rollback, make=keeping),
    Scenario("rollback-not-kept", without_rollbacks),
]
