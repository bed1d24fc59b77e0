"""`lock`, `freeze`, `approve`, `override`: what holds deployments, and letting one pass."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.deployments import AppName
from bridge.cli.holds import hold_form
from bridge.cli.reaching import live_app, person
from bridge.cli.show import Listing, ago, clean, iso, say, say_error, say_json
from bridge.cli.using import Config, Json, kept_in, run, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.core.gates.freezes import Freeze
    from bridge.core.gates.locks import Lock, PullName, Scope
    from bridge.core.lifecycle import Deployment
    from bridge.pipeline.gate_commands import Actor, GateCommands
    from bridge.pipeline.locks import Pulls
    from bridge.settings import Settings

ScopeName = Annotated[
    str,
    typer.Argument(
        metavar="SCOPE", help="An app, a project, PROJECT/ENVIRONMENT, or all.", show_default=False
    ),
]
Reason = Annotated[
    str, typer.Option("--reason", "-m", help="Why; others will read it.", show_default=False)
]
For = Annotated[
    str | None, typer.Option("--for", metavar="DURATION", help="How long, e.g. 90m, 2h or 1d.")
]

YOURS = "your own deploys pass"


@dataclass(frozen=True, slots=True)
class Desk:
    """The stores with what people do to gates."""

    settings: "Settings"
    stores: "Stores"
    apps: "list[App]"
    commands: "GateCommands"
    actor: "Actor"

    def scope(self, name: str) -> "Scope":
        """Return the scope of that name."""
        from bridge.core.gates.locks import scope_named

        return scope_named(name, self.apps)


@asynccontextmanager
async def _desk(config: Path | None, *, asks_hosts: bool = False) -> AsyncIterator[Desk]:
    """Open the stores; `asks_hosts`: pull requests are looked up."""
    from bridge.pipeline.gate_commands import Actor, GateCommands
    from bridge.pipeline.locks import NO_PULLS

    settings = settings_of(config)
    async with kept_in(settings) as stores, AsyncExitStack() as stack:
        pulls = await _pulls(settings, stack) if asks_hosts else NO_PULLS
        apps = await stores.journal.apps()
        by = person()
        name = by.removeprefix("cli: ")
        actor = Actor(f"cli:{name}", name, by)
        yield Desk(
            settings,
            stores,
            apps,
            GateCommands(stores.journal, lambda: apps, time.time, pulls=pulls),
            actor,
        )


async def _pulls(settings: "Settings", stack: AsyncExitStack) -> "Pulls":
    from bridge.app.providers import host_apis, pulls_at

    apis = host_apis(settings)
    for api in apis.values():
        stack.push_async_callback(api.close)
    return pulls_at(settings, apis)


def _end(code: int) -> None:
    if code:
        raise typer.Exit(code)


# ── locks ───────────────────────────────────────────────────────────────────────────────────────


def lock(
    scope: ScopeName,
    reason: Reason,
    lasts: For = None,
    until_merge: Annotated[
        str | None,
        typer.Option(
            metavar="PULL_REQUEST",
            help="Until it is merged or closed, e.g. '#12', 'acme/shop#12' or its address.",
        ),
    ] = None,
    steal: Annotated[bool, typer.Option("--steal", help="Take it from its owner.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Keep others from deploying an app, a project, an environment or everything."""
    _end(run(_lock(scope, reason, lasts, until_merge, config, steal=steal, json=json)))


async def _lock(
    name: str,
    reason: str,
    lasts: str | None,
    until_merge: str | None,
    config: Path | None,
    *,
    steal: bool,
    json: bool,
) -> int:
    from bridge.core.gates.times import read_duration

    seconds = None if lasts is None else read_duration(lasts)
    pull = None if until_merge is None else _pull(until_merge)
    async with _desk(config, asks_hosts=pull is not None) as desk:
        answer = await desk.commands.lock(
            desk.actor,
            desk.scope(name),
            reason,
            seconds=seconds,
            steal=steal,
            until_merge=pull,
        )
    taken, going = answer.taken, answer.going
    if json:
        say_json(
            {"taken": taken.taken}
            | lock_form(taken.lock)
            | {"not_stopped": [one.id for one in going]}
        )
    elif taken.taken:
        before = f", taken from {taken.before.name}" if steal and taken.before else ""
        say(clean(f"locked: {taken.lock.label}{before}{_ends(taken.lock)}; {YOURS}"))
        for one in going:
            say(clean(f"not stopped: {one.app} {one.state} (#{one.seq})"))
    if taken.taken:
        return 0
    if not json:
        held = f"{taken.lock.says} (since {_when(taken.lock.at)}{_until(taken.lock.until)})"
        say_error(clean(f"{held}; ask them, or use --steal"))
    return 1


def _pull(text: str) -> "PullName":
    from bridge.core.gates.locks import pull_named

    if (found := pull_named(text)) is None:
        raise Rejected(
            f"--until-merge {text!r} names no pull request: write e.g. #12, acme/shop#12 or its"
            " address"
        )
    return found


def unlock(scope: ScopeName, config: Config = None, json: Json = False) -> None:
    """Remove a lock, your own or somebody else's."""
    _end(run(_unlock(scope, config, json=json)))


async def _unlock(name: str, config: Path | None, *, json: bool) -> int:
    from bridge.core.chat.gate_replies import typed_scope

    async with _desk(config) as desk:
        scope = desk.scope(name)
        released = await desk.commands.unlock(desk.actor, scope)
        others = [] if released else await desk.commands.covering(scope)
    if json:
        say_json(
            {"scope": scope.key, "released": None if released is None else lock_form(released)}
        )
    elif released is None:
        say(clean(f"not locked: {scope.label}"))
        for one in others:
            say(clean(f"but {one.says}; `dokploy-bridge unlock {typed_scope(one)}` removes that"))
    else:
        say(clean(f"unlocked: {scope.label}; it was locked by {released.name}"))
    return 0


def locks(config: Config = None, json: Json = False) -> None:
    """List who keeps others from deploying what."""
    run(_locks(config, json=json))


async def _locks(config: Path | None, *, json: bool) -> None:
    async with kept_in(settings_of(config)) as stores:
        found = await stores.journal.locks()
    columns = ("scope", "by", "since", "until", "*reason")
    listing = Listing(lock_form, columns, lambda one: _lock_row(one, time.time()), _lock_line)
    listing.say(found, "nothing is locked", json=json)


def lock_form(lock_: "Lock") -> dict[str, Any]:
    """Return a lock as JSON has it."""
    return {
        "scope": lock_.scope,
        "label": lock_.label,
        "owner": lock_.owner,
        "name": lock_.name,
        "reason": lock_.reason,
        "at": iso(lock_.at),
        "until": None if lock_.until is None else iso(lock_.until),
        "until_merge": None if lock_.merge is None else str(lock_.merge),
        "remind_at": None if lock_.remind_at is None else iso(lock_.remind_at),
    }


def _lock_row(one: "Lock", now: float) -> list[str]:
    ends = _ends(one).removeprefix(" until ") or "unlocked"
    return [one.label, one.name, ago(one.at, now), ends, one.reason]


def _lock_line(one: "Lock") -> str:
    return f"{iso(one.at)} {one.label} {one.name}{_ends(one)}: {one.reason}"


def _ends(one: "Lock") -> str:
    """Return until when a lock holds, with the pull request with whose end it is released."""
    if one.merge is None:
        return _until(one.until)
    return f"{_until(one.until)}{' or' if one.until else ''} until {one.merge} is merged"


def _until(until: float | None, said: str | None = None) -> str:
    """Return an end by UTC, and in the zone in which somebody has said it."""
    if until is None:
        return ""
    from bridge.core.gates.times import in_zones, read_zone, zone_in

    utc = read_zone("UTC")
    return f" until {in_zones(until, zone_in(said, utc) if said else utc)}"


def _when(at: float | None) -> str:
    """Return a time in whole minutes, by UTC; "" for none."""
    from bridge.core.gates.times import in_words, read_zone

    return "" if at is None else in_words(at, read_zone("UTC"))


# ── freezes ─────────────────────────────────────────────────────────────────────────────────────


def freeze(
    scope: ScopeName,
    reason: Reason,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Its end, e.g. '18:00 Europe/Berlin'; else until ended."),
    ] = None,
    lasts: For = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="What passes: manual, redeploy, rollback.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let nothing deploy for a while, as in an incident."""
    run(_freeze(scope, reason, until, lasts, allow or [], config, json=json))


async def _freeze(
    name: str,
    reason: str,
    until: str | None,
    lasts: str | None,
    allow: list[str],
    config: Path | None,
    *,
    json: bool,
) -> None:
    ends = _moment(until, lasts)
    async with _desk(config) as desk:
        new = await desk.commands.freeze(
            desk.actor, desk.scope(name), reason, until=ends, allow=_exceptions(allow)
        )
    if json:
        say_json(freeze_form(new, time.time()))
    else:
        end = _until(new.until, until) or f"; `dokploy-bridge unfreeze {name}` ends it"
        say(clean(f"frozen: {new.label}{end}"))


def unfreeze(scope: ScopeName, config: Config = None, json: Json = False) -> None:
    """End the freezes that somebody has declared; those of `bridge.yaml` stay."""
    run(_unfreeze(scope, config, json=json))


async def _unfreeze(name: str, config: Path | None, *, json: bool) -> None:
    async with _desk(config) as desk:
        scope = desk.scope(name)
        ended = await desk.commands.unfreeze(desk.actor, scope)
    if json:
        say_json([freeze_form(one, time.time()) for one in ended])
    elif not ended:
        say(clean(f"not frozen by anybody: {scope.label}"))
    else:
        say(clean(f"no longer frozen: {scope.label}"))


def freezes(config: Config = None, json: Json = False) -> None:
    """List the freezes of `bridge.yaml` and those that somebody has declared."""
    run(_freezes(settings_of(config), json=json))


async def _freezes(settings: "Settings", *, json: bool) -> None:
    from bridge.settings.gates import freezes_of

    async with kept_in(settings) as stores:
        found = [*freezes_of(settings.freezes), *await stores.journal.freezes()]
    now = time.time()
    columns = ("freeze", "covers", "now", "until", "*reason")
    listing: Listing[Freeze] = Listing(
        lambda one: freeze_form(one, now),
        columns,
        lambda one: _freeze_row(one, now),
        lambda one: " ".join(_freeze_row(one, now)),
    )
    listing.say(found, "there are no freezes", json=json)


def freeze_form(one: "Freeze", now: float) -> dict[str, Any]:
    """Return a freeze as JSON has it."""
    closed = one.closed(now)
    until = None if closed is None else closed[1]
    return {
        "name": one.name,
        "scope": one.scope or None,
        "apps": list(one.apps),
        "by": one.by or None,
        "reason": one.reason,
        "allow": sorted(one.allow),
        "holds": closed is not None,
        "until": None if until is None else iso(until),
    }


def _freeze_row(one: "Freeze", now: float) -> list[str]:
    closed = one.closed(now)
    until = None if closed is None else closed[1]
    return [
        one.by or one.name,
        one.label or ", ".join(one.apps),
        "open" if closed is None else "frozen",
        "" if closed is None else (_when(until) or ("unfrozen" if one.by else "never")),
        one.reason,
    ]


def _exceptions(names: list[str]) -> "frozenset[Any]":
    from bridge.core.gates.freezes import EXCEPTIONS

    known = {str(one): one for one in EXCEPTIONS}
    for name in names:
        if name not in known:
            raise Rejected(f"--allow {name!r} is unknown: write {', '.join(known)}")
    return frozenset(known[name] for name in names)


def _moment(until: str | None, lasts: str | None) -> float | None:
    """Return the end that somebody means; None if they name none."""
    if until is not None and lasts is not None:
        raise Rejected("give --until or --for, not both")
    if lasts is not None:
        from bridge.core.gates.times import read_duration

        return time.time() + read_duration(lasts)
    if until is None:
        return None
    from bridge.core.gates.times import read_moment, read_zone

    return read_moment(until, time.time(), read_zone("UTC"), ends=True)


# ── held deployments ────────────────────────────────────────────────────────────────────────────


def held(config: Config = None, json: Json = False) -> None:
    """List the deployments that gates hold, with every open reason."""
    run(_held(config, json=json))


async def _held(config: Path | None, *, json: bool) -> None:
    from bridge.core.lifecycle import State

    async with kept_in(settings_of(config)) as stores:
        going = await stores.journal.open_deployments()
    found = [one for one in going if one.state is State.HELD]
    now = time.time()
    listing = Listing(
        held_form,
        ("#", "app", "held", "until", "*why"),
        lambda one: _held_row(one, now),
        lambda one: " ".join(_held_row(one, now)),
    )
    listing.say(found, "nothing is held", json=json)


def held_form(one: "Deployment") -> dict[str, Any]:
    """Return a held deployment as JSON has it."""
    return {
        "id": one.id,
        "app": one.app,
        "app_id": one.app_id,
        "commit": one.head or one.commit,
        "held_at": None if one.held_at is None else iso(one.held_at),
        "holds": [hold_form(hold) for hold in one.holds],
    }


def _held_row(one: "Deployment", now: float) -> list[str]:
    ends = [hold.until for hold in one.holds]
    until = max((at for at in ends if at is not None), default=None)
    opens = "" if None in ends else _when(until)
    since = "" if one.held_at is None else ago(one.held_at, now)
    return [str(one.seq), one.app, since, opens, "; ".join(hold.says for hold in one.holds)]


def approve(app: AppName, config: Config = None, json: Json = False) -> None:
    """Approve the commit that a held deployment would build."""
    run(_approve(app, config, json=json))


async def _approve(name: str, config: Path | None, *, json: bool) -> None:
    from bridge.pipeline.gates import nobody

    async with _desk(config) as desk:
        app = await live_app(desk.stores.journal, name)
        waiting = await desk.commands.held(app)
        new = await desk.commands.approve(desk.actor, waiting, nobody)
    commit = (waiting.head or waiting.commit or "")[:7]
    if json:
        say_json({"app": app.label, "commit": waiting.head or waiting.commit, "new": new})
    else:
        say(clean(f"{app.label} at {commit}: " + ("approved" if new else "you had approved it")))


def override(app: AppName, reason: Reason, config: Config = None, json: Json = False) -> None:
    """Deploy although gates hold it; the reason is kept."""
    run(_override(app, reason, config, json=json))


async def _override(name: str, reason: str, config: Path | None, *, json: bool) -> None:
    async with _desk(config) as desk:
        app = await live_app(desk.stores.journal, name)
        waiting = await desk.commands.held(app)
        await desk.commands.lift(desk.actor, waiting, reason)
    if json:
        say_json(held_form(waiting))
    else:
        for hold in waiting.holds:
            say(clean(f"lifted: {hold.says}"))
