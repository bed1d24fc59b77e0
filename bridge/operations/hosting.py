"""What deploys an app, and from where: adopt it, pin it."""

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

from bridge.core import apps as core
from bridge.core.access import Right
from bridge.core.errors import NotFound, Rejected
from bridge.operations.arguments import App, Seen, app_named
from bridge.operations.base import Context, Kind, Took, operation
from bridge.operations.typed import called
from bridge.views import hosting as views
from bridge.views.view import View

if TYPE_CHECKING:
    from bridge.core.chat.calls import Call
    from bridge.pipeline.deploying.hosting import Hosting
    from bridge.pipeline.deploying.pinning import Pinning

reads_there = partial(operation, family="Set up", needs=Right.CONFIGURE, sets_up=True)
"""Declares an operation that looks at Git hosts or backends."""

acts_there = partial(reads_there, acts=True, recorded=True, until_seen=True)
"""Declares one that changes something there."""


def hosting_of(ctx: Context) -> "Hosting":
    """Return what acts at Git hosts and backends; raise Rejected if nothing can here."""
    if ctx.desk.hosting is None:
        raise Rejected("no Git host and no backend can be asked here")
    return ctx.desk.hosting


def digest(*shown: object) -> str:
    """Return in one word what was shown, however much it is."""
    return sha256("\0".join(map(str, shown)).encode(errors="replace")).hexdigest()[:16]


def agreed(ctx: Context, now: str) -> "Call":
    """Return the call again, with what is shown now."""
    return called(ctx.call.name, {**ctx.call.given, "seen": now})


def must_be_as_seen(seen: Seen, now: str) -> None:
    """Raise Rejected if something else would be done than what was shown."""
    if seen != (now,):
        raise Rejected("something else would be done by now: look again")


# ── arguments ─────────────────────────────────────────────────────────────────────────────────────


def _words(text: str, _: Context) -> str:
    return text


def _flag(option: str, says: str) -> Kind:
    return Kind("", _words, says, "", option, flag=True)


def _option(metavar: str, says: str, name: str, *, many: bool = False, also: str = "") -> Kind:
    """Return an option with a value; a chat takes it with or without dashes."""

    def takes(words: Sequence[str]) -> Took | None:
        return (words[1], 2) if len(words) > 1 and words[0].lower().lstrip("-") == name else None

    example = f"{name} {metavar}"
    return Kind(metavar, _words, says, example, name, takes=takes, many=many, also=also)


def _several(metavar: str, read: Any, says: str, completes: str, *, checked: bool = False) -> Kind:
    return Kind(metavar, read, says, rest=True, many=True, checked=checked, completes=completes)


Apps = Annotated[
    tuple[core.App, ...], _several("APP", app_named, "As project/app.", "app", checked=True)
]
All = Annotated[bool, _flag("all", "Every app.")]
Undo = Annotated[bool, _flag("undo", "Put back what was switched off by this command.")]
Tracked = Annotated[
    str | None, _option("BRANCH", "The branch to track; by default the current one.", "branch")
]
Repositories = Annotated[
    tuple[str, ...], _several("REPOSITORY", _words, "As owner/name.", "repository")
]
Owners = Annotated[
    tuple[str, ...],
    _option("NAME", "A whole organisation or group.", "org", many=True, also="group"),
]
OwnApp = Annotated[bool, _flag("app", "The webhook of the bridge's own App there.")]
HostName = Annotated[str | None, _option("HOST", "The Git host, if ambiguous.", "host")]
AllDeployed = Annotated[bool, _flag("all", "Every repository that an app deploys from.")]
AllMade = Annotated[bool, _flag("all", "Every webhook that the bridge has made.")]


# ── the backends' own deploys ─────────────────────────────────────────────────────────────────────


@acts_there(
    "adopt",
    asks_backends=True,
    examples=("adopt --all", "adopt shop/web shop/api --yes", "adopt --all --undo"),
)
async def adopt(
    ctx: Context, apps: Apps = (), every: All = False, undo: Undo = False, seen: Seen = None
) -> View:
    """Switch off the backend's own deploys of pushes (Auto Deploy) for apps of the bridge.

    With both on, each push deploys twice. Nothing else of an app is changed.
    """
    if every == bool(apps):
        raise Rejected("name apps, or use --all")
    adopter = await hosting_of(ctx).adopter()
    of = apps or ctx.seen(Right.CONFIGURE)
    if not of and not ctx.desk.trouble():
        raise NotFound("there is no app that you may configure, so none was adopted")
    plan = await (adopter.plan_undo(of) if undo else adopter.plan(of))
    now = digest(plan.off, *(app.id for app in plan.those))
    if seen is None:
        others = ctx.desk.trouble().values() if every else map(views.stays_on, plan.left)
        failed = list(dict.fromkeys([*others, *plan.unread]))
        left = plan.left if every else ()
        return views.to_switch(plan.those, left, failed, agreed(ctx, now), on=undo)
    must_be_as_seen(seen, now)
    done, failed = await adopter.carry_out(plan, by=ctx.actor.by)
    return views.switched(plan.those, done, failed, on=undo)


# ── pinned apps ───────────────────────────────────────────────────────────────────────────────────


@acts_there(
    "pin",
    asks_backends=True,
    examples=("pin shop/web", "pin shop/web --branch main --yes"),
)
async def pin(ctx: Context, app: App, branch: Tracked = None, seen: Seen = None) -> View:
    """Have the backend build exactly the commit that was judged, from a branch of the bridge's own.

    The bridge's credential must be allowed to write to the repository: a GitHub App needs
    Contents: write. Run it again if it was interrupted.
    """
    pinner = hosting_of(ctx).pinner(app.backend)
    planned = await pinner.plan(app, branch)
    plan, tracks, now = planned.plan, planned.tracks, _digest(planned)
    if seen is None:
        question = f"pin {app.label} to {tracks}?"
        return views.to_pin(plan, tracks, question, "Pin", agreed(ctx, now))
    must_be_as_seen(seen, now)
    await pinner.pin(planned, by=ctx.actor.by)
    return views.pinned(plan, tracks)


@acts_there(
    "unpin",
    asks_backends=True,
    examples=("unpin shop/web",),
)
async def unpin(ctx: Context, app: App, branch: Tracked = None, seen: Seen = None) -> View:
    """Have the backend build the head of the tracked branch again, and delete the bridge's own."""
    pinner = hosting_of(ctx).pinner(app.backend)
    planned = await pinner.plan_back(app, branch)
    plan, tracks, now = planned.plan, planned.tracks, _digest(planned)
    if seen is None:
        return views.to_pin(plan, tracks, f"unpin {app.label}?", "Unpin", agreed(ctx, now))
    must_be_as_seen(seen, now)
    await pinner.unpin(planned, by=ctx.actor.by)
    return views.unpinned(plan, tracks)


def _digest(planned: "Pinning") -> str:
    return digest(planned.tracks, *planned.plan.difference)
