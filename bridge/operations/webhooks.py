"""Webhooks at Git hosts: list, make, rotate and remove them, and what is said about that."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bridge.core.chat.calls import Call
from bridge.core.errors import BridgeError, Rejected
from bridge.core.hooks import Scope, ScopeKind, shown_url
from bridge.operations.arguments import Seen
from bridge.operations.base import GROUPS, Context
from bridge.operations.hosting import (
    AllDeployed,
    AllMade,
    HostName,
    OwnApp,
    Owners,
    Repositories,
    acts_there,
    agreed,
    digest,
    hosting_of,
    must_be_as_seen,
    reads_there,
)
from bridge.views.hosting import NAME, SAYS, lines_alone, reasons
from bridge.views.values import Icon, Phrase, Text, Typed, many
from bridge.views.view import Ask, Column, Row, Table, View

if TYPE_CHECKING:
    from bridge.pipeline.deciding.hook_places import Place, SeenHook, Target
    from bridge.pipeline.deciding.hooks import Hooks, Step
    from bridge.pipeline.deploying.hosting import Carried
    from bridge.ports.hooks import MadeHook

GROUPS["hooks"] = "List, make, rotate and remove webhooks at the Git hosts."


def _hooks(ctx: Context) -> "Hooks":
    return hosting_of(ctx).hooks(ctx.actor.by)


def _known(ctx: Context) -> frozenset[tuple[str, str]]:
    """Return the repositories that apps deploy from, by host and name."""
    from bridge.pipeline.deciding.reconcile import wanted_of

    return frozenset(wanted_of(ctx.desk.apps(), hosting_of(ctx).homes))


def _must_name(named: object, *, every: bool) -> None:
    """Raise Rejected if nothing is named, or something beside all."""
    if every == bool(named):
        raise Rejected("name repositories (owner/name), an organisation with --org, or use --all")


def _targets(
    ctx: Context,
    repositories: Repositories,
    owners: Owners,
    host: HostName,
    *,
    own_app: OwnApp = False,
    every: AllDeployed = False,
) -> "list[Target]":
    """Return what a person has named; raise Rejected for nothing, or if it may be anywhere."""
    from bridge.pipeline.deciding.hook_places import Target, host_of, named_target

    _must_name(repositories or owners or own_app, every=every)
    known, servers = _known(ctx), _hooks(ctx).servers
    able = [name for name, server in servers.items() if server.api is not None]
    named = [named_target(one, host, known, able) for one in repositories]
    named += [Target(host or host_of(able, one), ScopeKind.OWNER, one) for one in owners]
    if own_app:
        named.append(Target(host or host_of(able, "the App"), ScopeKind.APP, ""))
    if every:
        named += [
            Target(at, ScopeKind.REPOSITORY, name)
            for at, name in sorted(known)
            if host in (None, at) and at in able
        ]
    return list(dict.fromkeys(named))


# ── listing ───────────────────────────────────────────────────────────────────────────────────────


@reads_there(
    "hooks list",
    examples=("hooks list", "hooks list my-org/mono --json"),
)
async def list_hooks(
    ctx: Context,
    repositories: Repositories = (),
    org: Owners = (),
    own_app: OwnApp = False,
    host: HostName = None,
    every: AllDeployed = False,
) -> View:
    """List the webhooks that lead to this bridge, and what is wrong with them.

    Without a name: of every repository that an app deploys from.
    """
    from bridge.pipeline.deploying.hosting import look_at

    hooks, every = _hooks(ctx), every or not (repositories or org or own_app)
    targets = _targets(ctx, repositories, org, host, own_app=own_app, every=every)
    places, failed = await look_at(hooks, targets)
    warns: list[Phrase] = [(Text(one, SAYS),) for place in places for one in place.warnings()]
    if places and not any(server.url for server in hooks.servers.values()):
        warns.append((NO_ADDRESS,))
    if not places and not failed:
        return View((NONE_ASKED,), data=[], empty=True)
    return View(
        (),
        brief=(f"{many(len(places), 'place')} looked at",),
        parts=[Table(LISTED, list(map(_row, places)))] if places else [],
        data=[_form(one) for one in places],
        warns=warns,
        failed=reasons(failed),
    )


NONE_ASKED = "no app deploys from a repository of a Git host that can be asked"
NO_ADDRESS = (
    "public_url is not set, so webhooks are told by their path, and whether they lead to this"
    " bridge is not known"
)
LISTED = (*map(Column, ("host", "repository", "state")), Column("webhooks", long=True))
INSTALL = Typed(Call("hooks install", {}, "hooks install"))


def _row(place: "Place") -> Row:
    host, state = Text(place.host, NAME), _state(place)
    where = Text(str(place.scope), NAME)
    said = _said(place)
    return Row(((host,), (where,), (state,), said), line=(host, " ", where, f" {state} - ", *said))


def _state(place: "Place") -> str:
    there = [one for one in place.hooks if one.reports]
    if not there:
        return "unknown" if place.scope in place.unseen else "none"
    return "wrong" if any(one.faults for one in there) else "good"


def _said(place: "Place") -> Phrase:
    """Return what is known of each webhook."""
    said = [_hook_said(one, place.scope) for one in place.hooks]
    if place.scope in place.unseen:
        said.append("the bridge's credential may not see its webhooks")
    if not said:
        return ("no webhook reports it; ", INSTALL, " makes one")
    return (Text("; ".join(said), SAYS),)


def _hook_said(one: "SeenHook", at: Scope) -> str:
    whose = "made by the bridge" if one.made else "made by hand"
    if one.deploys_itself:
        whose = "the backend's own"
    state = f", {one.made.state}" if one.made and one.made.state != "live" else ""
    above = "" if one.hook.scope == at else f" of {one.hook.scope}"
    wrong = f": {'; '.join(one.faults)}" if one.faults else ""
    return f"webhook {one.hook.id}{above}, {whose}{state}{wrong}"


def _form(place: "Place") -> dict[str, Any]:
    return {
        "host": place.host,
        "kind": str(place.scope.kind),
        "name": place.scope.name,
        "hooks": [_hook_form(one) for one in place.hooks],
        "unseen": [str(one) for one in place.unseen],
        "warnings": list(place.warnings()),
    }


def _hook_form(one: "SeenHook") -> dict[str, Any]:
    return {
        "id": one.hook.id,
        "of": str(one.hook.scope),
        "url": shown_url(one.hook.url, whole=not one.deploys_itself),
        "made_by_bridge": one.made is not None,
        "state": str(one.made.state) if one.made else None,
        "deploys_itself": one.deploys_itself,
        "faults": list(one.faults),
    }


# ── making and removing ───────────────────────────────────────────────────────────────────────────


@acts_there(
    "hooks install",
    examples=(
        "hooks install --all",
        "hooks install my-org/mono --yes",
        "hooks install --org my-org",
    ),
)
async def install(
    ctx: Context,
    repositories: Repositories = (),
    org: Owners = (),
    own_app: OwnApp = False,
    host: HostName = None,
    every: AllDeployed = False,
    seen: Seen = None,
) -> View:
    """Make the webhooks that are missing, and correct those that are wrong.

    Each repository is reported by one webhook: its own, its organisation's or group's, or the
    App's. Each webhook has a secret of its own, which speaks for no other repository.
    """
    from bridge.pipeline.deploying.hosting import plan_installs

    targets = _targets(ctx, repositories, org, host, own_app=own_app, every=every)
    steps, failed = await plan_installs(_hooks(ctx), targets, _known(ctx))
    return await _in_steps(ctx, steps, failed, seen, (NOTHING_TO_INSTALL,))


NOTHING_TO_INSTALL = "there is nothing to do: no app deploys from a repository of a Git host"


@acts_there(
    "hooks remove",
    examples=("hooks remove my-org/mono",),
)
async def remove(
    ctx: Context,
    repositories: Repositories = (),
    org: Owners = (),
    host: HostName = None,
    every: AllMade = False,
    seen: Seen = None,
) -> View:
    """Remove webhooks that the bridge has made, with their secrets."""
    from bridge.pipeline.deciding.hook_places import Target
    from bridge.pipeline.deploying.hosting import look_at

    _must_name(repositories or org, every=every)
    hooks = _hooks(ctx)
    targets = [] if every else _targets(ctx, repositories, org, host)
    if every:
        made = [one for one in await hooks.made() if one.scope.kind is not ScopeKind.APP]
        targets += [Target(one.host, one.scope.kind, one.scope.name) for one in made]
    places, failed = await look_at(hooks, targets, back=True)
    steps = [step for place in places for step in hooks.plan_remove(place)]
    return await _in_steps(ctx, steps, failed, seen, NONE_MADE)


NONE_MADE: Phrase = ("the bridge has made no webhook: ", INSTALL, " makes them")


async def _in_steps(
    ctx: Context, steps: "Sequence[Step]", failed: Sequence[str], seen: Seen, none: Phrase
) -> View:
    """Show steps and what can't be done, or carry the steps out once they were seen."""
    from bridge.pipeline.deploying.hosting import carry_out

    now = digest(*((one.does, one.host, one.scope, one.why) for one in steps))
    if seen is None:
        return _steps_view(steps, failed, none, agreed(ctx, now))
    must_be_as_seen(seen, now)
    return _came(steps, await carry_out(_hooks(ctx), steps))


STEPS = (*map(Column, ("step", "host", "repository")), Column("why", long=True))
DONE = {"create": "made", "change": "corrected", "remove": "removed"}


def _steps_view(
    steps: "Sequence[Step]", failed: Sequence[str], none: Phrase, carry_out: Call
) -> View:
    """Show what would be done, or that nothing is to be."""
    data, bad = list(map(_step_form, steps)), reasons(failed)
    if not steps:
        if failed:
            return View((), brief=("nothing to change",), data=data, failed=bad)
        return View(none, data=data, empty=True)
    todo = sum(one.does in DONE for one in steps)
    return View(
        (f"{todo} of {many(len(steps), 'webhook')} to change",),
        Icon.GEAR,
        parts=[Table(STEPS, list(map(_step_row, steps)))],
        data=data,
        failed=bad,
        asks=Ask(carry_out, "Carry this out?", "Carry out") if todo else None,
    )


def _step_row(step: "Step") -> Row:
    host, where, why = Text(step.host, NAME), Text(str(step.scope), NAME), Text(step.why, SAYS)
    line: Phrase = (f"{step.does} ", host, " ", where, *((": ", why) if step.why else ()))
    return Row(((str(step.does),), (host,), (where,), (why,) if step.why else ()), line=line)


def _step_form(step: "Step") -> dict[str, Any]:
    return {"does": str(step.does), "host": step.host, "name": str(step.scope), "why": step.why}


def _came(steps: "Sequence[Step]", came: "Carried") -> View:
    """Say what was done, left out, and could not be done."""
    done = [(f"{DONE[one.does]} the webhook of ", *_at(one.scope, one.host)) for one in came.done]
    kept: list[Phrase] = [
        (f"keep the webhook of {one.scope}: {one.once} has none",) for one in came.kept
    ]
    return lines_alone(
        done,
        f"{many(len(came.done), 'webhook')} changed",
        data=list(map(_step_form, steps)),
        remarks=kept,
        failed=reasons(came.failed),
    )


def _at(scope: Scope, host: str) -> Phrase:
    return (Text(str(scope), NAME), " at ", Text(host, NAME))


# ── rotating ──────────────────────────────────────────────────────────────────────────────────────


@acts_there(
    "hooks rotate",
    examples=("hooks rotate --all --yes",),
)
async def rotate(
    ctx: Context,
    repositories: Repositories = (),
    org: Owners = (),
    own_app: OwnApp = False,
    host: HostName = None,
    every: AllMade = False,
    seen: Seen = None,
) -> View:
    """Replace the secrets of webhooks that the bridge has made, without losing a delivery.

    Both secrets are accepted until a delivery with the new one has arrived. Run it again if it was
    interrupted, or if nothing has arrived yet.
    """
    from bridge.pipeline.deciding.hook_places import rotated_of

    _must_name(repositories or org or own_app, every=every)
    made = await _hooks(ctx).made()
    if not every:
        made = rotated_of(made, _targets(ctx, repositories, org, host, own_app=own_app))
    data = list(map(_made_form, made))
    if not made:
        return View(NONE_MADE, data=data, empty=True)
    now = digest(*(one.key for one in made))
    if seen is None:
        asks = Ask(agreed(ctx, now), "Replace these secrets?", "Replace")
        lines = (("rotate the secret of ", *_at(one.scope, one.host)) for one in made)
        brief = f"{many(len(made), 'secret')} to replace"
        return lines_alone(lines, brief, data=data, asks=asks)
    must_be_as_seen(seen, now)
    return await _rotated(ctx, made, data)


NOT_RUNNING = "no bridge is running here, so nothing that a new secret has signed can arrive"


async def _rotated(ctx: Context, made: "Iterable[MadeHook]", data: list[dict[str, Any]]) -> View:
    """Replace secrets one after another, and say which were."""
    from bridge.pipeline.deploying.hosting import ARRIVES, patience

    hooks, inbox = _hooks(ctx), ctx.desk.inbox
    running = await hosting_of(ctx).is_running()
    done: list[Phrase] = []
    failed: list[str] = []
    for one in made:
        try:
            if await hooks.rotate(one, inbox, patience(ARRIVES if running else 0.0)):
                done.append(("rotated the secret of ", *_at(one.scope, one.host)))
            else:
                why = "nothing signed with the new secret has arrived yet"
                failed.append(f"{one.scope}: {why}")
        except BridgeError as error:
            failed.append(f"rotate {one.host} {one.scope}: {error}")
    then = "after the next push" if running else "start it, then"
    again = f"until then both secrets are accepted; {then} run this again"
    return lines_alone(
        done,
        f"{many(len(done), 'secret')} replaced",
        data=data,
        remarks=[] if running else [(NOT_RUNNING,)],
        failed=reasons(failed),
        hints=[(again,)] if failed else [],
    )


def _made_form(one: "MadeHook") -> dict[str, Any]:
    return {
        "host": one.host,
        "kind": str(one.scope.kind),
        "name": one.scope.name,
        "id": one.hook,
        "state": str(one.state),
    }
