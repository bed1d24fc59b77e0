"""What a webhook means and what each app would do, and why, without acting on it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from bridge.core import apps
from bridge.core.decision import Reason
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import PullRequestChanged, RefPushed
from bridge.core.previews.verdict import Why, as_push
from bridge.core.rules import Range
from bridge.operations.arguments import after
from bridge.operations.arrivals import arrived_named
from bridge.operations.base import Context, Kind, operation
from bridge.operations.explained import Near, ToldOf, assumed_of, ignored, near, pulled, pushed
from bridge.operations.reading import LOOK, owed
from bridge.views.view import View

if TYPE_CHECKING:
    from bridge.pipeline.deciding.what_if import Apps, Known, Told, WhatIf

MOST = 200
"""The most apps of one push for which to find the nearest miss; naming one covers any other."""

# ── arguments ─────────────────────────────────────────────────────────────────────────────────────


def _given(option: str, read: Callable[[str], Any] = str) -> Callable[[str, Context], Any]:
    """Return what reads an option that must not be empty."""

    def read_given(text: str, _: Context) -> Any:
        if not text.strip():
            raise Rejected(f"--{option} is empty; give a value, or leave it out")
        return read(text)

    return read_given


def _trigger(text: str) -> apps.Trigger:
    if text not in list(apps.Trigger):
        raise Rejected(f"{text[:40]!r} is no trigger: write {' or '.join(apps.Trigger)}")
    return apps.Trigger(text)


def _versions(text: str) -> str:
    Range.parse(text)
    return text


def _tried(metavar: str, option: str, says: str, example: str, **more: Any) -> Kind:
    """Return the kind of a rule that is tried; `example`: how it is typed in a chat."""
    read = _given(option, more.pop("read", str))
    takes = after(example.partition(" ")[0])
    return Kind(metavar, read, says, example, option, takes=takes, exact=True, **more)


Explained = Annotated[
    str,
    Kind(
        *("DELIVERY", lambda text, _: text),
        "The id of a kept delivery; on the command line also a file with a webhook's body (or a"
        " whole request, .http), or - for standard input.",
    ),
]
OnlyApp = Annotated[
    str | None,
    Kind(*("APP", _given("app"), "Only for this app.", "", "app"), short="a", completes="app"),
]
WatchPaths = Annotated[
    tuple[str, ...],
    _tried(
        *("PATTERN", "watch-path", "What if an app watched this? Repeatable: 'web/**'."),
        *("path web/**",),
        also="path",
        many=True,
    ),
]
OfBranch = Annotated[
    str | None,
    _tried(
        *("BRANCH", "branch", "What if it deployed this branch? A name or glob.", "branch main")
    ),
]
OnTrigger = Annotated[
    apps.Trigger | None,
    _tried(*("push|tag", "trigger", "What if this deployed it?", "trigger tag"), read=_trigger),
]
TagPattern = Annotated[
    str | None,
    _tried("GLOB", "tag-pattern", "What if it deployed tags like these? 'v*'.", "tags v*"),
]
Versions = Annotated[
    str | None,
    _tried(
        *("RANGE", "versions", "What if it deployed these versions? '>=1.2 <2'."),
        *("versions 1.x",),
        read=_versions,
    ),
]

# ── the operation ─────────────────────────────────────────────────────────────────────────────────


@operation(
    "explain",
    family=LOOK,
    lists=True,
    examples=(
        "explain push.json",
        "explain 72d3162e --app shop/web --watch-path 'web/**'",
    ),
)
async def explain(
    ctx: Context,
    delivery: Explained,
    app: OnlyApp = None,
    watch_path: WatchPaths = (),
    branch: OfBranch = None,
    trigger: OnTrigger = None,
    tag_pattern: TagPattern = None,
    versions: Versions = None,
) -> View:
    """Show what a webhook means and what each app would do, and why. Changes nothing.

    Of a pull request it shows whether each app would have a preview. If that depends on its files,
    the Git host is asked for them.

    A kept delivery is explained like its replay; a file, as if pushed now.

    If no app is known, the command assumes one that deploys from the payload's repository.
    """
    from bridge.pipeline.deciding.what_if import Known, WhatIf

    told = ctx.desk.sent or await _kept(ctx, delivery)
    if trigger is None and (tag_pattern is not None or versions is not None):
        trigger = apps.Trigger.TAG
    paths = watch_path or None
    rules = apps.Rules(trigger, branch, paths, tags=tag_pattern, versions=versions)
    seen = ctx.seen()
    careful = [one.id for one in seen if one.rules.only_newer]
    tags = await ctx.desk.journal.tags(careful) if careful else {}
    known = Known(ctx.desk.policy, seen, tags, told.pushed_by)
    view = await _explained(ctx, told, known, WhatIf(app, rules))
    return replace(view, remarks=await owed(ctx))


async def _explained(ctx: Context, told: "Told", known: "Known", what_if: "WhatIf") -> View:
    match told.meaning:
        case RefPushed() as push:
            return await _of_push(ctx, told, push, known, what_if)
        case PullRequestChanged() as pull if known.apps or what_if.asked:
            return await _of_pull(ctx, told, pull, known, what_if)
    return ignored(told)


async def _kept(ctx: Context, name: str) -> "Told":
    """Return a kept delivery, or what it replays.

    Raises:
        NotFound, Ambiguous: none or several match.
        Rejected: it can't be read.
    """
    from bridge.pipeline.deciding.interpret import Later, Meaning, pushed_by
    from bridge.pipeline.deciding.what_if import Told
    from bridge.ports.inbox import DeliveryState

    on_server = ctx.by is not None
    try:
        found = (await arrived_named(ctx, name)).delivery
    except NotFound as error:
        raise type(error)(
            f"{name!r} is no file, and {error}" if on_server else str(error)
        ) from None
    (meaning,) = await ctx.desk.reading().meanings([found], vouched=not on_server)
    if not isinstance(meaning, Meaning):
        raise Rejected(f"not yet: {meaning.why}" if isinstance(meaning, Later) else meaning)
    found, pushed = meaning.original or found, None
    if isinstance(meaning.event, RefPushed):
        waits = found.state is DeliveryState.KEPT
        pushed = pushed_by(Meaning(found, meaning.event, None, None if waits else found))
    return Told(found.host, found.event, meaning.event, pushed_by=pushed)


# ── pushes ────────────────────────────────────────────────────────────────────────────────────────


async def _of_push(
    ctx: Context, told: "Told", push: RefPushed, known: "Known", what_if: "WhatIf"
) -> View:
    from bridge.pipeline.deciding.what_if import decisions_for

    def decide() -> "tuple[list[tuple[apps.App, ToldOf]], Apps]":
        """Decide in a thread of its own, since a push may have very many files."""
        decided, concerned = decisions_for(push, known, what_if)
        found = []
        for place, (app, decision) in enumerate(decided):
            missed = decision.reason is Reason.NO_PATH_HIT
            looked = near(app, push.paths, known.policy, missed=missed) if place < MOST else Near()
            found.append((app, ToldOf(decision, looked)))
        return found, concerned

    found, concerned = await asyncio.to_thread(decide)
    assumed = [assumed_of(push, concerned)] if concerned.imagined else []
    those = [await _with_holds(ctx, app, one, push, known) for app, one in found]
    return pushed(told, push, those, assumed)


async def _with_holds(
    ctx: Context, app: apps.App, one: ToldOf, push: RefPushed, known: "Known"
) -> ToldOf:
    """Return it with what would hold it now, if it deploys an app that there is."""
    from bridge.pipeline.gates.what_if import GatesNow

    there = next((each for each in known.apps if each.id == app.id), None)
    if not one.decision.deploy or there is None:
        return one
    desk = ctx.desk
    homes = desk.suspects.homes if desk.suspects is not None else {}
    gates = GatesNow(desk.journal, desk.apps(), desk.freezes, desk.gates.identities, homes)
    commit = push.commit.sha if push.commit else None
    return replace(one, holds=await gates.holds(there, commit, desk.clock()))


# ── pull requests ─────────────────────────────────────────────────────────────────────────────────


async def _of_pull(
    ctx: Context, told: "Told", event: PullRequestChanged, known: "Known", what_if: "WhatIf"
) -> View:
    from bridge.pipeline.deciding.what_if import apps_for
    from bridge.pipeline.previews.what_if import PullJudge, with_previews

    pull, policy, desk = event.pull, known.policy, ctx.desk
    push = as_push(pull, event.repository, None, "")
    concerned = apps_for(push, known, what_if)
    found = [one for one in concerned.those if not one.marker]
    if not found:
        return ignored(told)
    assumed = [assumed_of(push, concerned)] if concerned.imagined else []
    found = list(map(with_previews, found)) if concerned.imagined else found
    judge = PullJudge(event, policy, desk.journal, desk.apis, desk.clock())
    judged, files = await judge.judge(found)
    those = [
        (one, near(one[0], files.paths, policy, missed=one[2].why is Why.NO_PATH_HIT))
        for one in judged
    ]
    return pulled(told, event, those, files, assumed)
