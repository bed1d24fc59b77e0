"""Why an app was deployed, or was not; and why a pull request has a preview, or has none."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from bridge.core.apps import App
from bridge.core.errors import Ambiguous
from bridge.core.lifecycle import Deployment, State, deployment_id
from bridge.operations.arguments import (
    APP_HELP,
    Known,
    Limit,
    Of,
    PushedCommit,
    known_named,
)
from bridge.operations.base import Context, Kind, Unfound, operation
from bridge.operations.previews import preview_named
from bridge.operations.reading import LOOK, owed, remarks_of
from bridge.operations.typed import called
from bridge.views import decisions
from bridge.views.deployment_lists import became, ended_form, tail_of
from bridge.views.deployments import APP_NAME, NOTE, holds_of
from bridge.views.holds import hold_item
from bridge.views.triggers import deploys_on, source_of, waits_form, waits_in_words
from bridge.views.values import (
    GAP,
    Code,
    Commit,
    Moment,
    Phrase,
    Ref,
    Sentence,
    Strong,
    Text,
    Typed,
    iso,
    joined,
    plain,
)
from bridge.views.view import Item, Lines, Row, Table, View

if TYPE_CHECKING:
    from bridge.core.previews.native import NativePreview
    from bridge.core.previews.preview import Preview
    from bridge.ports.outcomes import Explained

WORD, LONGEST_RULES = 60, 600

# ── what it is asked about ────────────────────────────────────────────────────────────────────────

_names_preview = re.compile(r".*[#!][0-9]{1,15}").fullmatch
"""Matches the name of a pull request, e.g. "shop/web#12"."""


async def _asked_about(text: str, ctx: Context) -> "Known | Preview | NativePreview":
    """Return the app, live or gone, or the preview of a pull request; raise as `known_named`."""
    if _names_preview(text):
        return await preview_named(text, ctx)
    try:
        return await known_named(text, ctx)
    except Unfound as error:
        more = [plain(one) for one in await owed(ctx)]
        if not isinstance(error, Ambiguous) and ctx.sees():
            names = (await ctx.desk.journal.repositories()).values()
            shows = "`dokploy-bridge deliveries --repo {0}` shows what came of its pushes"
            same = [one for one in names if one.lower() == text.lower()]
            more += [f"{one} is a repository: {shows.format(one)}" for one in same[:1]]
        words, why = ("; ".join([said, *more]) for said in (str(error), error.why))
        raise type(error)(words, why, error.like) from None


AppOrPreview = Annotated[
    "Known | Preview | NativePreview", Kind("APP", _asked_about, APP_HELP, completes="app")
]

# ── the operation ─────────────────────────────────────────────────────────────────────────────────


@operation(
    "why",
    family=LOOK,
    examples=("why shop/web", "why shop/web 18f234f", "why shop/web#12", "why web --json"),
)
async def why(
    ctx: Context,
    app: AppOrPreview,
    commit: PushedCommit = None,
    limit: Limit = 10,
    deployment: Of = None,
) -> View:
    """Explain why an app was deployed, or why it was not.

    Given a pull request, e.g. shop/web#12, it explains its preview.
    """
    if not isinstance(app, Known):
        return await _why_preview(ctx, app, limit)
    if deployment is not None:
        found = await _decided(ctx, app.app, deployment)
    else:
        found = await ctx.desk.journal.explained(app.app.id, commit=commit, limit=limit)
    made = await _deployments(ctx, app.app, found)
    suspects: list[Lines] = []  # for those who may view every app: they name repositories
    all_ = commit is None and deployment is None
    if ctx.desk.suspects is not None and ctx.sees() and (not found or all_):
        suspects = await ctx.desk.suspects.of(app.app.source, found[0].at if found else 0.0)
    remarks = [*await owed(ctx), *remarks_of(app)]
    if not found:
        return nothing(app.app, commit, suspects, remarks)
    return explained(app, found, made, suspects, remarks)


async def _decided(ctx: Context, app: App, id_: str) -> "list[Explained]":
    """Return the decision that led to a deployment that a door has shown."""
    from bridge.ports.outcomes import Explained

    found = await ctx.shown(id_, app)
    decided = (await ctx.desk.journal.decisions([found.seq]))[found.seq]
    return [
        Explained(found.seq, found.created_at, one, found.delivery, found.ref, found.commit)
        for one in decided
        if one.app_id == app.id
    ]


async def _deployments(
    ctx: Context, app: App, found: "Sequence[Explained]"
) -> dict[int, Deployment]:
    """Return the deployments of the decisions, by the delivery's seq."""
    ids = [deployment_id(one.seq, app.id) for one in found if one.decision.deploy]
    made = [await ctx.desk.journal.deployment(id_) for id_ in ids]
    return {one.seq: one for one in made if one is not None}


async def _why_preview(ctx: Context, found: "Preview | NativePreview", limit: int) -> View:
    from bridge.core.previews.native import NativePreview
    from bridge.views.preview_reasons import native_reasons, reasons

    if isinstance(found, NativePreview):
        return native_reasons(found)
    journal, id_ = ctx.desk.journal, found.made or ""
    made = await journal.deployments(app_id=id_, limit=limit) if id_ else []
    serving = await journal.serving([app for app in await journal.apps() if app.id == id_])
    served = serving[id_].ours if id_ in serving else None
    policies = {app.id: app.rules.previews for app in ctx.desk.apps()}
    newest = made[0] if made else None
    return reasons(found, policies.get(found.app_id), newest, served, made)


# ── the answer ────────────────────────────────────────────────────────────────────────────────────


def nothing(
    app: App,
    commit: str | None = None,
    suspects: Sequence[Lines] = (),
    remarks: Sequence[Phrase] = (),
) -> View:
    """Say that no delivery was about an app, or about one of its commits."""
    what = f"commit {commit}" if commit else "anything"
    head = (
        f"no delivery has contained {what} for {app.label};"
        f" `dokploy-bridge deliveries` lists what came, and {app.label} deploys from"
        f" {source_of(app)}"
    )
    none: Phrase = ("Nothing has come in for it yet: no push, no tag, no command.",)
    return View(
        (Sentence(head, LONGEST_RULES),),
        says=[] if commit else [none],
        notes=[deploys_on(app)],
        parts=suspects,
        remarks=remarks,
        missing=True,
    )


def explained(
    app: Known,
    found: "Sequence[Explained]",
    made: Mapping[int, Deployment],
    suspects: Sequence[Lines] = (),
    remarks: Sequence[Phrase] = (),
) -> View:
    """Explain decisions, newest first; `made`: their deployments, by the delivery's seq."""
    newest = next((one.seq for one in found if one.seq in made), None)
    rows = [_row(one, app.app, made.get(one.seq), last=one.seq == newest) for one in found]
    first = found[0].decision
    told = "deployed" if first.deploy else "not deployed"
    now = None if app.gone else waits_form(app.app)
    waits = f"now {waits_in_words(app.app, short=True)}"
    return View(
        ("Why ", Strong(Text(app.app.label, APP_NAME)), " was or was not deployed"),
        brief=(Text(app.app.label, APP_NAME), f" {told}: ", Sentence(first.evidence, NOTE)),
        notes=[] if app.gone else [(Sentence(waits, LONGEST_RULES),)],
        parts=[Table((), rows), *suspects],
        remarks=remarks,
        data=[_form(one, made.get(one.seq)) | {"now": now} for one in found],
    )


def _row(one: "Explained", app: App, made: Deployment | None, *, last: bool) -> Row:
    """Return a decision with what became of it; of the last deployment, why it has failed."""
    icon, told = decisions.verdict_of(one.decision)
    verdict: Phrase = (Strong(Text(told, WORD)), GAP, Code(Text(one.decision.reason, WORD)))
    head = joined(verdict, _pushed(one, app), (Moment(one.at),))
    evidence: Phrase = ("", Sentence(one.decision.evidence, NOTE))  # as it was recorded
    says: list[Phrase | Item] = [head, evidence]
    tail = tail_of(made) if made is not None and last else []
    if made is not None:
        says.append(Item((Sentence(became(made, short=True), NOTE),), made.state))
        says += [hold_item(hold, f"lifted by {hold.may_lift}") for hold in holds_of(made)]
    if made is not None and tail:
        whole = "its build's log: " if made.state is State.UNHEALTHY else "the whole log: "
        logs = called("logs", {"app": made.app, "deployment": str(made.seq)})
        says.append((whole, Typed(logs)))
    line = (
        *(Moment(one.at, since=True), " ", Text(_subject(one), NOTE), " "),
        Text(decisions.decision_line(one.decision, made), NOTE),
    )
    return Row((), icon, line, says, tail)


def _pushed(one: "Explained", app: App) -> Phrase:
    """Return the branch or tag and its commit; what a person has asked for has a number only."""
    if one.ref is None:
        return (f"#{one.seq}",)
    commit: Phrase = (" ", Commit(one.commit, app)) if one.commit else ()
    return (Ref(one.ref), *commit)


def _subject(one: "Explained") -> str:
    if one.ref is None:
        return one.delivery or f"#{one.seq}"
    return f"{one.ref.removeprefix('refs/heads/')}@{(one.commit or '')[:7]}"


def _form(one: "Explained", made: Deployment | None) -> dict[str, Any]:
    return decisions.decision_form(one.decision) | {
        "delivery": one.delivery,
        "seq": one.seq,
        "at": iso(one.at),
        "ref": one.ref,
        "commit": one.commit,
        "deployment": made and ended_form(made),
    }
