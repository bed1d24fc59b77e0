"""`lock`, `unlock`, `locks`: keep others from deploying."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.context import Config, Json, kept_in, run, settings_of
from bridge.cli.gates import YOURS, For, Reason, ScopeName, desk_of, end_with, until_text, when_text
from bridge.cli.show import Listing, ago, clean, iso, say, say_error, say_json
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from bridge.core.gates.locks import Lock, PullName


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
    end_with(run(_lock(scope, reason, lasts, until_merge, config, steal=steal, json=json)))


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
    async with desk_of(config, asks_hosts=pull is not None) as desk:
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
        held = f"{taken.lock.says} (since {when_text(taken.lock.at)}{until_text(taken.lock.until)})"
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
    end_with(run(_unlock(scope, config, json=json)))


async def _unlock(name: str, config: Path | None, *, json: bool) -> int:
    from bridge.core.chat.gate_replies import typed_scope

    async with desk_of(config) as desk:
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
    """Return until when a lock holds, and the pull request whose end releases it."""
    if one.merge is None:
        return until_text(one.until)
    return f"{until_text(one.until)}{' or' if one.until else ''} until {one.merge} is merged"
