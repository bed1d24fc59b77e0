"""Actions on a deployment, a lock or a preview: buttons, at doors that have any."""

import shlex

from bridge.core.events import Action as Asked
from bridge.core.gates.locks import Lock, typed_scope
from bridge.core.holds import Gate, proposal_in
from bridge.core.lifecycle import LIVE, Deployment, State
from bridge.core.previews.verdict import Act
from bridge.views.deployments import holds_of
from bridge.views.links import Around
from bridge.views.text import clean
from bridge.views.values import Phrase, Strong, Text
from bridge.views.view import Action, Question

CANCEL, REDEPLOY = "deployment.cancel", "deployment.redeploy"
ROLLBACK, ROLLBACK_TO = "deployment.rollback", "deployment.rollback_to"
LOG, WHY = "deployment.log", "deployment.why"
APPROVE, OVERRIDE, UNLOCK = "gate.approve", "gate.override", "gate.unlock"
RELEASE, KEEP = "lock.release", "lock.keep"
PREVIEW = {
    Act.APPROVE: "preview.approve",
    Act.STOP: "preview.stop",
    Act.EXTEND: "preview.extend",
}
UNDO = "provider.undo"
"""Which button it is; messages in chats have these names, so they stay."""

_AGAIN = {*LIVE, State.FAILED, State.CANCELLED, State.UNKNOWN}


def command(*words: str) -> str:
    """Return how something is typed on the command line."""
    return shlex.join(["dokploy-bridge", *map(clean, words)])


def of_deployment(
    deployment: Deployment, around: Around, *, can_cancel: bool = True
) -> list[Action]:
    """Return what can be done about a deployment in its state."""
    id_, past = deployment.id, around.fate is not None and not around.fate.live
    shown = []
    if (lock := around.lock) is not None:
        shown.append(unlock(id_, f"{Gate.LOCK}:{lock.key}", lock.says))
    shown += of_holds(deployment)
    if can_cancel and not deployment.final and not deployment.served:
        shown.append(cancel(deployment))
    if deployment.state is State.UNHEALTHY and not past:
        shown.append(Action("Roll back", ROLLBACK, id_, "danger"))
    if deployment.state is State.FAILED and around.before and not around.overtaken:
        shown.append(Action("Roll back", ROLLBACK, id_))
    if around.last_good:
        shown.append(Action("Roll back to this", ROLLBACK_TO, id_))
    goes_back = deployment.action is Asked.ROLLBACK  # what it has left stays checked out
    if deployment.state in _AGAIN and not goes_back and not past and not around.overtaken:
        shown.append(Action("Redeploy", REDEPLOY, id_))
    if deployment.backend_id is not None:
        shown.append(Action("Log", LOG, id_))
    return [*shown, Action("Why", WHY, id_)]


def cancel(deployment: Deployment) -> Action:
    """Return what cancels; it asks first, and names what it would stop."""
    ref = (deployment.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    which: list[Phrase] = [
        (Text(words, limit),)
        for words, limit in ((ref, 80), ((deployment.commit or "")[:7], 10))
        if clean(words)
    ]
    version = tuple(piece for one in which for piece in (", ", *one))[1:]
    says: Phrase = (
        Strong(Text(deployment.app, 100)) if clean(deployment.app) else "It",
        *((" (", *version, ")") if version else ()),
        " stops where it is. What is live now stays live.",
    )
    question = Question("Cancel this deployment?", says, "Cancel it", "Go on", danger=True)
    return Action("Cancel", CANCEL, deployment.id, "danger", question)


def of_holds(deployment: Deployment) -> list[Action]:
    """Return what can be done about what holds a deployment; nothing if nothing does."""
    holds = holds_of(deployment)
    if not holds:
        return []
    shown = []
    if (proposal := proposal_in(holds)) is not None:
        shown.append(approve(deployment, proposal.commit))
    shown.append(Action("Deploy anyway", OVERRIDE, deployment.id))
    if (lock := next((one for one in holds if one.gate is Gate.LOCK), None)) is not None:
        shown.append(unlock(deployment.id, lock.key, lock.says))
    return shown


def approve(deployment: Deployment, commit: str) -> Action:
    """Return what approves exactly the commit that is shown beside it."""
    typed = command("approve", deployment.app, "--commit", commit[:12])
    return Action("Approve", APPROVE, f"{deployment.id} {commit}", "primary", command=typed)


def unlock(deployment: str, key: str, says: str) -> Action:
    """Return what removes exactly the lock that is shown; `key`: of its hold."""
    asks = Question("Remove this lock?", (Text(f"{says}.", 300),), "Unlock", "Leave it")
    return Action("Unlock", UNLOCK, f"{deployment} {key}", asks=asks)


def of_lock(lock: Lock) -> list[Action]:
    """Return what its owner is asked about a lock from time to time."""
    typed = command("unlock", typed_scope(lock.scope, lock.label).strip('"'))
    release = Action("Unlock", RELEASE, lock.key, "primary", command=typed)
    return [release, Action("Keep", KEEP, lock.key)]


def of_preview(act: Act, id_: str, name: str, commit: str) -> Action:
    """Return what can be done about a preview; what can't be taken back asks first.

    Args:
        name: what people type to name it.
        commit: the newest one of the pull request, which was seen.
    """
    about, shown = f"{id_} {commit}", Text(name, 100)
    match act:
        case Act.APPROVE:
            runs = (Text(commit[:12], 20), " of ", shown)
            asks = Question(
                "Build this commit?",
                (*runs, " comes from a fork: it runs on your server."),
                "Build it",
                "Not yet",
            )
            typed = command("previews", "approve", name, "--commit", commit[:12])
            return Action("Approve", PREVIEW[act], about, "primary", asks, typed)
        case Act.STOP:
            says = (shown, ": the next push starts it again.")
            asks = Question("Remove this preview?", says, "Stop", "Keep it")
            return Action("Stop", PREVIEW[act], about, asks=asks)
        case Act.EXTEND:
            return Action("Extend", PREVIEW[act], about)
