"""Previews of pull requests: list them, stop one, extend one, approve a commit of a fork."""

import re
from typing import TYPE_CHECKING, Annotated

from bridge.core.access import Right
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.operations.arguments import EveryPull, PreviewCommit, known_named
from bridge.operations.base import Context, Kind, Several, Took, Unfound, operation
from bridge.operations.typed import called
from bridge.views import previews as views
from bridge.views.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.core.apps import App
    from bridge.core.previews.native import NativePreview
    from bridge.core.previews.preview import Preview
    from bridge.pipeline.previews.commands import PreviewCommands
    from bridge.ports.journal import Journal

PREVIEWS = "Previews"

# ── which ones ────────────────────────────────────────────────────────────────────────────────────


async def preview_named(text: str, ctx: Context) -> "Preview | NativePreview":
    """Return the preview that somebody means, among those of apps that they may view.

    Raises:
        Unfound: none or several fit.
        Rejected: the text does not name a preview.
    """
    from bridge.core.previews.preview import find_preview, previews_like
    from bridge.pipeline.previews.commands import previews_to_name

    there = await previews_to_name(ctx.desk.journal, ctx.sees)
    try:
        return find_preview(there, text)
    except NotFound as error:
        if not (like := previews_like(there, text)):
            raise
        several, name = isinstance(error, Ambiguous), repr(text[:80])
        why = f"{name} fits several previews" if several else f"there is no preview {name}"
        raise (Several if several else Unfound)(str(error), why, like) from None


async def _ours_named(text: str, ctx: Context) -> "Preview":
    """Return the bridge's preview; raise Rejected also if the backend makes it."""
    from bridge.core.previews.native import NativePreview, why_not_ours

    found = await preview_named(text, ctx)
    if isinstance(found, NativePreview):
        raise Rejected(why_not_ours(found))
    return found


_MARKED = re.compile(r".*[#!][0-9]{1,15}").fullmatch


def _takes_preview(words: "Sequence[str]") -> Took:
    """Find a name such as "web#12", which may be typed in several words: `web #12` or `web 12`."""
    from bridge.core.previews.preview import names_preview

    counts = range(1, len(words) + 1)
    marked = (count for count in counts if _MARKED(words[count - 1]))
    whole = (count for count in counts if names_preview(" ".join(words[:count])))
    count = next(marked, None) or next(whole, 1)
    return " ".join(words[:count]), count


PreviewName = Annotated[
    "Preview",
    Kind(
        *("PREVIEW", _ours_named),
        "The app and the pull request, e.g. shop/web#12; #12 if only one app has it.",
        "shop/web#12",
        takes=_takes_preview,
        checked=True,
        completes="preview",
    ),
]


async def _previewed(text: str, ctx: Context) -> frozenset[str]:
    """Return the id of the app that somebody means, or of all whose labels have the text."""
    try:
        return frozenset({(await known_named(text, ctx)).app.id})
    except Unfound:
        there = [*ctx.seen(), *await ctx.seen_gone()]
        some = frozenset(one.id for one in there if text.lower() in one.label.lower())
        if not some:
            raise
        return some


Previewed = Annotated[
    frozenset[str] | None,
    Kind(
        *("APP", _previewed, "Only of this app, or of all whose names contain this."),
        option="app",
        short="a",
        completes="app",
    ),
]

# ── what is asked ─────────────────────────────────────────────────────────────────────────────────


@operation(
    "previews",
    family=PREVIEWS,
    aliases={"preview": {}},
    examples=("previews", "previews --app shop/web --all --json"),
)
async def previews(ctx: Context, app: Previewed = None, every: EveryPull = False) -> View:
    """List the previews of pull requests, newest first; those of the backend's own come last.

    `previews stop PREVIEW` removes one, `previews extend PREVIEW` keeps it or starts it again,
    `previews approve PREVIEW COMMIT` has exactly that commit of a fork built. PREVIEW is the app
    and the number of the pull request, e.g. `shop/web#12`.
    """
    from bridge.pipeline.previews.commands import previews_seen

    desk = ctx.desk
    ours, native = await previews_seen(desk.journal, ctx.sees, ended=every)
    ours = [one for one in ours if app is None or one.app_id in app]
    native = [one for one in native if app is None or one.app_id in app]
    shown = await standing(desk.journal, desk.apps(), ours, ctx.sees)
    return views.listed(shown, native, desk.clock(), every=every)


@operation(
    "previews stop",
    family=PREVIEWS,
    needs=Right.DEPLOY,
    acts=True,
    recorded=True,
    aliases={"preview stop": {}},
    examples=("previews stop shop/web#12",),
)
async def stop(ctx: Context, preview: PreviewName) -> View:
    """Remove a preview, until its pull request is pushed to or it is extended."""
    if preview.stopped:
        return views.stopped_before(await _standing_of(ctx, preview))
    after = await _commands(ctx).stop(ctx.actor, preview)
    return views.stopped(await _standing_of(ctx, after))


@operation(
    "previews extend",
    family=PREVIEWS,
    needs=Right.DEPLOY,
    acts=True,
    recorded=True,
    aliases={"preview extend": {}},
    examples=("previews extend shop/web#12",),
)
async def extend(ctx: Context, preview: PreviewName) -> View:
    """Keep a preview as if it were pushed to now; start one again that was stopped or idle."""
    after = await _commands(ctx).extend(ctx.actor, preview)
    return views.extended(await _standing_of(ctx, after))


@operation(
    "previews approve",
    family=PREVIEWS,
    needs=Right.APPROVE,
    acts=True,
    recorded=True,
    aliases={"preview approve": {}},
    examples=("previews approve shop/web#12 --commit 18f234f",),
)
async def approve(ctx: Context, preview: PreviewName, commit: PreviewCommit = None) -> View:
    """Let a pull request from a fork be built, at exactly one commit.

    Without a commit, it only says which one would be built: it runs on your server.
    """
    from bridge.core.previews.verdict import awaits_approval

    head = preview.pull.head_sha
    if commit is None and awaits_approval(preview):
        given = {"preview": preview.name, "commit": head[:12]}
        return views.which_commit(preview, called("previews approve", given))
    clicked_before = commit == head == preview.approved and preview.approver == ctx.actor.name
    if clicked_before:
        return views.approved(await _standing_of(ctx, preview))
    after = await _commands(ctx).approve(ctx.actor, preview, commit or head)
    return views.approved(await _standing_of(ctx, after))


# ── what all share ────────────────────────────────────────────────────────────────────────────────


def _commands(ctx: Context) -> "PreviewCommands":
    from bridge.pipeline.previews.commands import PreviewCommands

    return PreviewCommands(ctx.desk.journal, ctx.desk.clock)


async def _standing_of(ctx: Context, preview: "Preview") -> views.Standing:
    (one,) = await standing(ctx.desk.journal, ctx.desk.apps(), [preview], ctx.sees)
    return one


async def standing(
    journal: "Journal",
    apps: "Sequence[App]",
    those: "Sequence[Preview]",
    may: "Callable[[str, Right], bool]",
) -> list[views.Standing]:
    """Return how previews stand.

    Args:
        apps: all apps, with our own rules.
        may: returns whether somebody has a right to the app with a label.
    """
    from bridge.core.previews.verdict import NEEDS, possible

    made = {one.made for one in those}
    newest = await journal.last_deployments()
    serving = await journal.serving([app for app in apps if app.id in made])
    served = {id_: one.ours for id_, one in serving.items()}
    policies = {app.id: app.rules.previews for app in apps}
    return [
        views.Standing(
            one,
            newest.get(one.made or ""),
            served.get(one.made or ""),
            policies.get(one.app_id),
            [act for act in possible(one) if may(one.app, NEEDS[act])],
        )
        for one in those
    ]
