"""Scenarios of a push: deployed, skipped, coalesced, cancelled, cleared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.trial.dokploy import Service, until
from tests.trial.repositories import Repo
from tests.trial.scene import Pushed, Scene, Trial
from tests.trial.stage import Scenario, Unfit, application
from tests.worlds.bridge import ZERO

LONG = 12.0
"""Seconds of a build during which something happens."""


# ── pushes ───────────────────────────────────────────────────────────────────


def push(scene: Scene) -> None:
    pushed = scene.push("done")
    decided = scene.delivery(pushed.delivery)
    scene.expect([d["deploy"] for d in decided["decisions"]] == [True], f"decisions: {decided}")


def push_that_fails(scene: Scene) -> None:
    scene.push("failed", fail="no space left on device")
    scene.wanted.live = None


def push_of_a_branch_that_is_gone(scene: Scene) -> None:
    pushed = scene.tell("refs/heads/gone", ZERO, scene.repo.head("main"), "failed")
    scene.wanted.reasons[pushed.delivery] = "Remote branch gone not found"


def cloning_a_gone_branch(trial: Trial, name: str) -> tuple[Service, Repo]:
    made, repo = application(trial, name)
    trial.dokploy.clone_from(made.id, repo.clone_url, "gone")
    return made, repo


def two_pushes(scene: Scene) -> None:
    first = scene.push("done")
    scene.state(first.delivery, "done")
    scene.push("done")


def skip(scene: Scene) -> None:
    """Skip for paths, a directive, another branch and a tag, each with its own reason."""
    repo = scene.repo.repository
    main = scene.repo.head("main")
    repo.git("branch", "dev")
    for reason, pushed in {
        "no_path_hit": scene.push(files=("docs/read.md",)),
        "skip_directive": scene.push(message="fix: a word [skip ci]"),
        "branch_mismatch": scene.tell("refs/heads/dev", ZERO, main),
        "trigger_mismatch": scene.tag("v0"),
    }.items():
        decided = scene.delivery(pushed.delivery)
        said = [(one["deploy"], one["reason"]) for one in decided["decisions"]]
        scene.expect(said == [(False, reason)], f"{reason}: decided {said}, {decided['error']}")
    gone = scene.tell("refs/heads/main", main, ZERO)
    decided = scene.delivery(gone.delivery)
    deployed = [one for one in decided["decisions"] if one["deploy"]]
    scene.expect(not deployed, f"a deleted branch deploys: {deployed}")


def watching_web(trial: Trial, name: str) -> tuple[Service, Repo]:
    made, repo = application(trial, name)
    trial.dokploy.clone_from(made.id, repo.clone_url, watchPaths=["web/**"])
    return made, repo


def tag(scene: Scene) -> None:
    scene.push(message="feat: no tag, so nothing deploys")
    scene.tag("nightly")
    tagged = scene.tag("v1.0.0", "done")
    scene.wanted.live = tagged.commit


def coalesce(scene: Scene) -> None:
    """Build only the newest of the pushes that wait."""
    first = scene.push("done", sleep=LONG / 2)
    scene.building(first.delivery)
    for _ in range(3):
        scene.push("superseded")
    scene.push("done")


def one_push_by_two_hooks(scene: Scene) -> None:
    before = scene.repo.head("main")
    after = scene.repo.commit_files()
    both = [scene.tell("refs/heads/main", before, after) for _ in range(2)]
    # Either may be decided first: one whose app is read again gives way to those behind it.
    decided = {one.delivery: scene.delivery(one.delivery)["decisions"] for one in both}
    deployed = [id_ for id_, some in decided.items() if any(one["deploy"] for one in some)]
    scene.expect(len(deployed) == 1, f"{len(deployed)} of two hooks' deliveries deploy")
    scene.wanted.states |= {id_: {"done"} for id_ in deployed}
    scene.wanted.live = after


def predecessor_comes_late(scene: Scene) -> None:
    """Deliver push N+1, then N late, then N+1 by a second hook: N+1 is built once."""
    first = scene.repo.head("main")
    second = scene.repo.commit_files()
    third = scene.repo.commit_files()
    newer = scene.tell("refs/heads/main", second, third, "done")
    scene.state(newer.delivery, "done")
    late = scene.tell("refs/heads/main", first, second)
    decided = scene.delivery(late.delivery)
    if any(one["deploy"] for one in decided["decisions"]):  # it may: the branch's head is built
        scene.wanted.states[late.delivery] = {"done"}
        scene.state(late.delivery, "done")
    again = scene.tell("refs/heads/main", second, third)
    decided = scene.delivery(again.delivery)
    deployed = [one["reason"] for one in decided["decisions"] if one["deploy"]]
    scene.expect(not deployed, f"one push by two hooks deploys twice: {deployed}")


def branch_changed_just_now(scene: Scene) -> None:
    """Change the branch in Dokploy and push at once: the new branch decides."""
    repo = scene.repo.repository
    scene.delivery(scene.push("done").delivery)  # now the bridge knows the app
    repo.git("branch", "dev")
    scene.trial.dokploy.clone_from(scene.service.id, scene.repo.clone_url, "dev")
    sha = scene.repo.head("dev")
    pushed = scene.tell("refs/heads/dev", ZERO, sha, "done")
    decided = scene.delivery(pushed.delivery)
    said = [one["evidence"] for one in decided["decisions"] if not one["deploy"]]
    scene.expect(not said, f"skipped by what it was before: {said}")


def branch_set_just_now(scene: Scene) -> None:
    """Change the branch by the command line and push at once."""
    scene.delivery(scene.push("done").delivery)
    scene.repo.repository.git("branch", "dev")
    words = ("provider", "set", "git", scene.service.label, "--branch", "dev", "--yes")
    done = scene.trial.bridge.cli(*words)
    scene.expect(done.returncode == 0, f"provider set: {done.stderr}")
    sha = scene.repo.head("dev")
    pushed = scene.tell("refs/heads/dev", ZERO, sha, "done")
    decided = scene.delivery(pushed.delivery)
    said = [one["evidence"] for one in decided["decisions"] if not one["deploy"]]
    scene.expect(not said, f"skipped by what it was before: {said}")


# ── asked for by people ──────────────────────────────────────────────────────


def deploy(scene: Scene) -> None:
    scene.ask("deploy", "done")
    scene.wanted.live = scene.repo.head("main")


def redeploy(scene: Scene) -> None:
    pushed = scene.push("done")
    scene.state(pushed.delivery, "done")
    asked = scene.ask("redeploy", "done")
    scene.wanted.live = None
    record = scene.record(asked, "done")
    scene.expect("[br-" in record.last["title"], f"a redeploy's title is {record.last['title']!r}")


def redeploy_that_fails(scene: Scene) -> None:
    pushed = scene.push("failed", fail="no such module")
    scene.state(pushed.delivery, "failed")
    asked = scene.ask("redeploy", "failed")
    scene.wanted.reasons[asked] = "no such module"


def by_a_person_as_well(scene: Scene) -> None:
    """Deploy in Dokploy before and behind our deployment: neither is taken for ours."""
    scene.record(scene.by_hand(), "running")
    scene.push("done", sleep=4)
    scene.by_hand()


def image(scene: Scene) -> None:
    scene.ask("deploy", "done")


def an_image(trial: Trial, name: str) -> tuple[Service, Repo]:
    made, repo = application(trial, name)
    source = {"dockerImage": "busybox:1", "username": None, "password": None, "registryUrl": None}
    trial.dokploy.post("application.saveDockerProvider", applicationId=made.id, **source)
    return made, repo


def a_stack(trial: Trial, name: str) -> tuple[Service, Repo]:
    repo = trial.repositories.make(name)
    return trial.dokploy.stack(trial.project, trial.environment, name, repo.clone_url), repo


def by_account(host: str) -> Callable[[Trial, str], tuple[Service, Repo]]:
    """Return the maker of an application that Dokploy clones by its first account of a host."""

    def make(trial: Trial, name: str) -> tuple[Service, Repo]:
        accounts = trial.dokploy.get(f"{host}.{host}Providers")
        if not accounts:
            raise Unfit(f"Dokploy has no {host} account")
        made, _ = application(trial, name)
        repo = trial.repositories.make_at(Path(trial.given[host.upper()]), host)
        owner, _, repository = repo.name.partition("/")
        account = accounts[0][f"{host}Id"]
        if host == "github":
            fields: dict[str, Any] = {"owner": owner, "repository": repository, "branch": "main"}
            fields |= {"buildPath": "/", "githubId": account, "triggerType": "push"}
        else:
            fields = {"gitlabOwner": owner, "gitlabRepository": repository, "gitlabBranch": "main"}
            fields |= {"gitlabBuildPath": "/", "gitlabId": account, "gitlabProjectId": repo.id}
            fields |= {"gitlabPathNamespace": repo.name}
        path = f"application.save{host.capitalize()}Provider"
        more = {"watchPaths": [], "enableSubmodules": False}
        trial.dokploy.post(path, applicationId=made.id, **fields | more)
        return made, repo

    return make


# ── cancelled, cleared ───────────────────────────────────────────────────────


def running_and_waiting(scene: Scene, **commit: Any) -> tuple[Pushed, Pushed]:
    """Push twice: the first builds for a while, the second waits in the bridge."""
    first = scene.push("done", sleep=LONG, **commit)
    scene.building(first.delivery)
    second = scene.push("done")
    scene.state(second.delivery, "waiting")
    return first, second


def queued(scene: Scene, seconds: float = LONG) -> Pushed:
    """Push while a person's deployment of the app builds: ours waits in Dokploy's queue."""
    repo = scene.repo
    repo.commit_files(sleep=seconds)
    scene.building(scene.by_hand())
    pushed = scene.push("done")
    scene.job(pushed.delivery, "waiting")
    return pushed


def cancel_waiting(scene: Scene) -> None:
    first, second = running_and_waiting(scene)
    scene.wanted.states[second.delivery] = {"cancelled"}
    scene.wanted.live = first.commit
    # A self-hosted server can't cancel a running build; it goes on to its end.
    scene.ask("cancel")
    scene.state(second.delivery, "cancelled", within=10)


def cancel_queued(scene: Scene) -> None:
    pushed = queued(scene)
    scene.wanted.states[pushed.delivery] = {"cancelled"}
    scene.wanted.live = None
    scene.ask("cancel")
    scene.state(pushed.delivery, "cancelled", within=10)


def cancel_running(scene: Scene) -> None:
    """Cancel a build on a self-hosted server: it can't, says so, and the build goes on."""
    pushed = scene.push("done", sleep=LONG)
    scene.building(pushed.delivery)
    scene.state(pushed.delivery, "running")
    scene.ask("cancel")
    said_of_cancel(scene, pushed)


def said_of_cancel(scene: Scene, pushed: Pushed) -> None:
    """Wait until a deployment's history mentions the cancel."""
    claim = scene.claim(pushed.delivery)
    assert claim is not None

    def said() -> bool:
        shown = scene.trial.bridge.json("deployments", "show", claim["id"])
        return any("cancel" in one["note"] for one in shown["changes"])

    until(said, 10, "the deployment's history speaks of the cancel")


def cancel_running_by_killing(scene: Scene) -> None:
    """Cancel with `allow_kill_build`: the deployment ends `cancelled`, not `failed`."""
    bridge = scene.trial.bridge
    bridge.restart(BRIDGE_DOKPLOY_ALLOW_KILL_BUILD="true")
    try:
        pushed = scene.push("cancelled", sleep=LONG * 2)
        scene.wanted.killed.add(pushed.delivery)
        scene.building(pushed.delivery)  # a clone can't be interrupted
        scene.state(pushed.delivery, "running")
        scene.ask("cancel")
        scene.record(pushed.delivery, "error", "cancelled", "done")
        scene.state(pushed.delivery, "cancelled", "failed", "done", "unknown")
    finally:
        bridge.restart()


def cancelled_then_restarted(scene: Scene) -> None:
    """Cancel, then restart Dokploy: the interrupted build is not requested again."""
    pushed = scene.push("cancelled", sleep=LONG * 3)
    scene.building(pushed.delivery)
    scene.state(pushed.delivery, "running")
    scene.ask("cancel")
    said_of_cancel(scene, pushed)
    scene.harmed(scene.trial.dokploy.restart)


def operator_empties_the_queue(scene: Scene) -> None:
    """Empty the queue in Dokploy: the deployment ends `cancelled`, and is not requested again."""
    pushed = queued(scene, LONG)
    scene.state(pushed.delivery, "queued")
    scene.wanted.states[pushed.delivery] = {"cancelled"}
    scene.wanted.live = None
    id_ = {"applicationId": scene.service.id}
    scene.harmed(lambda: scene.trial.dokploy.post("application.cleanQueues", **id_))


def clear(scene: Scene) -> None:
    """Clear: the logs go, the records stay."""
    pushed = scene.push("done")
    scene.state(pushed.delivery, "done")
    record = scene.record(pushed.delivery, "done")
    done = scene.trial.bridge.cli("clear", scene.service.label, "--yes")
    scene.expect(done.returncode == 0, f"clear: {done.returncode} {done.stderr}")
    log = {"deploymentId": record.id, "tail": 100}
    text = scene.trial.dokploy.get("deployment.readLogs", **log)
    scene.expect(not str(text).strip(), f"the log is still there: {str(text)[:80]!r}")


def clear_while_it_builds(scene: Scene) -> None:
    """Clear while a build runs: refused, since Dokploy would delete the running build's log."""
    pushed = scene.push("failed", sleep=LONG, fail="no space left on device")
    scene.wanted.live = None
    scene.building(pushed.delivery)
    done = scene.trial.bridge.cli("clear", scene.service.label, "--yes")
    scene.expect(done.returncode != 0, "clear is not refused while a deployment is open")
    scene.record(pushed.delivery, "error")


GITLAB = "gitlab"

JOURNEYS = [
    Scenario("push", push),
    Scenario("push-gitlab", push, lambda trial, name: application(trial, name, GITLAB)),
    Scenario("push-github-account", push, by_account("github"), ("GITHUB",)),
    Scenario("push-gitlab-account", push, by_account("gitlab"), ("GITLAB",)),
    Scenario("push-stack", push, a_stack),
    Scenario("push-twice", two_pushes),
    Scenario("push-fails", push_that_fails),
    Scenario("push-branch-gone", push_of_a_branch_that_is_gone, cloning_a_gone_branch),
    Scenario("skip", skip, watching_web),
    Scenario("tag", tag),
    Scenario("coalesce", coalesce),
    Scenario("two-hooks", one_push_by_two_hooks),
    Scenario("late-predecessor", predecessor_comes_late),
    Scenario("branch-changed", branch_changed_just_now),
    Scenario("branch-set", branch_set_just_now),
    Scenario("deploy", deploy),
    Scenario("redeploy", redeploy),
    Scenario("redeploy-fails", redeploy_that_fails),
    Scenario("person-as-well", by_a_person_as_well),
    Scenario("image", image, an_image),
    Scenario("cancel-waiting", cancel_waiting),
    Scenario("cancel-queued", cancel_queued),
    Scenario("cancel-running", cancel_running),
    Scenario("cancel-kill-build", cancel_running_by_killing, needs=("KILL_BUILD",)),
    Scenario("cancel-restart", cancelled_then_restarted, needs=("STOP", "START")),
    Scenario("operator-cancels", operator_empties_the_queue),
    Scenario("clear", clear),
    Scenario("clear-building", clear_while_it_builds),
]
