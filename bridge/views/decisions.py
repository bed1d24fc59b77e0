"""What is said about a decision for one app: for people, and for programs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.core.lifecycle import Deployment
from bridge.views.deployment_lists import became
from bridge.views.deployments import APP_NAME, NOTE
from bridge.views.values import Code, Icon, Mark, Phrase, Sentence, Strong, Text
from bridge.views.view import Column, Row

if TYPE_CHECKING:
    from bridge.core.decision import Decision

IN_WORDS: Mapping[str, str] = {
    "path_hit": "a watched path changed",
    "no_watch_paths": "every push deploys it",
    "paths_unknown": "the changed files are not known",
    "tag_pushed": "a tag was pushed",
    "asked": "somebody asked for it",
    "repository_mismatch": "it deploys from another repository",
    "trigger_mismatch": "waits for another kind of push",
    "branch_mismatch": "waits for another branch",
    "ref_deleted": "the branch or tag was deleted",
    "skip_directive": "the push asks to be skipped",
    "tag_mismatch": "the tag does not fit its rules",
    "tag_too_old": "a newer version has been deployed",
    "no_path_hit": "no watched path changed",
    "watch_paths_broken": "a watch path can't be understood",
    "duplicate_push": "the same push was decided before",
    "made_later": "it was made after this push",
    "own_branch": "the bridge has pinned it so",
    "cancel_asked": "somebody cancelled what was under way",
    "cancel_one_asked": "somebody cancelled a deployment",
    "configure_asked": "somebody changed its configuration",
}
"""Each reason of a decision in a few words, by its value."""


def decision_form(decision: "Decision") -> dict[str, Any]:
    """Return a decision as programs get it."""
    return {
        "app": decision.app,
        "app_id": decision.app_id,
        "deploy": decision.deploy,
        "reason": str(decision.reason),
        "evidence": decision.evidence,
    }


def decision_line(decision: "Decision", deployment: Deployment | None = None) -> str:
    """E.g. `skip shop/web: no_path_hit (2 files changed, none matches web/**)`."""
    verdict = "deploy" if decision.deploy else "skip"
    line = f"{verdict} {decision.app}: {decision.reason} ({decision.evidence})"
    return f"{line} {became(deployment)}" if deployment else line


def verdict_of(decision: "Decision") -> tuple[Icon, str]:
    """Return what a decision does, as a sign and in a word or two."""
    from bridge.core.decision import Reason

    if decision.reason in (Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED):
        return Icon.NOT, "Cancels"
    if decision.reason is Reason.CONFIGURE_ASKED:
        return Icon.GEAR, "Configures"
    return (Icon.GO, "Deploys") if decision.deploy else (Icon.SKIP, "Left alone")


DECIDED = (*map(Column, ("", "app", "reason")), Column("evidence", long=True))
"""The columns of decisions."""


def decision_row(
    decision: "Decision", deployment: Deployment | None = None, notes: Sequence[Phrase] = ()
) -> Row:
    """Return a decision with what became of it; `notes`: what else to know, a line each."""
    icon, told = verdict_of(decision)
    more = list(notes)
    if deployment is not None:
        more.insert(0, (Mark(deployment.state), " ", Text(became(deployment, short=True), NOTE)))
    evidence, app = Sentence(decision.evidence, NOTE), Text(decision.app, APP_NAME)
    return Row(
        (
            ("deploy" if decision.deploy else "skip",),
            (app,),
            (str(decision.reason),),
            (evidence, *(piece for one in more for piece in ("\n", *one))),
        ),
        icon,
        (Text(decision_line(decision, deployment), NOTE),),
        [(Strong(app), f": {told} ", Code(Text(decision.reason, NOTE))), ("", evidence), *more],
    )
