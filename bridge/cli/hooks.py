"""`hooks`: list, make, rotate and remove webhooks at Git hosts."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import person
from bridge.cli.completion import complete_repository
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.deploy import LOOK
from bridge.cli.show import Listing, clean, hint, say, say_error, say_json, say_table
from bridge.core.errors import BridgeError, Rejected
from bridge.core.hooks import shown_url
from bridge.githosts import HOSTS

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.app.storage import Stores
    from bridge.core.hooks import Scope
    from bridge.pipeline.deciding.hook_places import Place, SeenHook, Target
    from bridge.pipeline.deciding.hooks import Hooks, Step
    from bridge.ports.hooks import MadeHook
    from bridge.settings import Settings

ARRIVES = 30.0
"""Seconds to wait for a delivery that a new secret has signed."""

Repositories = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REPOSITORY]...", help="As owner/name.", autocompletion=complete_repository
    ),
]
Owners = Annotated[
    list[str] | None,
    typer.Option("--org", "--group", metavar="NAME", help="A whole organisation or group."),
]
TheApp = Annotated[bool, typer.Option("--app", help="The webhook of the bridge's own App there.")]
Host = Annotated[
    str | None, typer.Option("--host", help=f"The Git host, if ambiguous: {', '.join(HOSTS)}.")
]
NONE_MADE = "the bridge has made no webhook: `dokploy-bridge hooks install` makes them"
NO_ADDRESS = (
    "warning: public_url is not set, so webhooks are told by their path, and whether they lead to"
    " this bridge is not known"
)
DEPLOYED = "Every repository that an app deploys from."
MADE = "Every webhook that the bridge has made."

group = typer.Typer(
    no_args_is_help=True, help="List, make, rotate and remove webhooks at the Git hosts."
)


@dataclass(frozen=True, slots=True)
class Which:
    """What a person names."""

    repositories: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    app: bool = False
    host: str | None = None
    every: bool = False

    @property
    def none(self) -> bool:
        """Return whether nothing is named."""
        return not (self.repositories or self.owners or self.app or self.every)


Work = Callable[[Which, How], Coroutine[Any, Any, int]]


def _command(name: str, every: str, *without: str) -> Callable[[Work], Work]:
    """Return a decorator that makes a command of work; it returns the exit code.

    Args:
        every: what `--all` names.
        without: the options that the command has not.
    """

    def register(work: Work) -> Work:
        def command(
            repositories: Repositories = None,
            org: Owners = None,
            app: TheApp = False,
            host: Host = None,
            every: bool = False,
            config: Config = None,
            json: Json = False,
            yes: Yes = False,
        ) -> None:
            which = Which(tuple(repositories or ()), tuple(org or ()), app, host, every)
            if code := run(work(which, How(config, json, yes))):
                raise typer.Exit(code)

        signature = inspect.signature(command)
        options = {**signature.parameters}
        all_ = Annotated[bool, typer.Option("--all", help=every)]
        options["every"] = options["every"].replace(annotation=all_)
        left = [one for word, one in options.items() if word not in without]
        command.__dict__["__signature__"] = signature.replace(parameters=left)
        group.command(name, help=inspect.getdoc(work))(command)
        return work

    return register


def _must_name(which: Which) -> None:
    if which.none:
        raise Rejected("name repositories (owner/name), an organisation with --org, or --all")


# ── What the commands work on ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Reach:
    """The webhooks, and what is known of the apps' repositories."""

    settings: "Settings"
    stores: "Stores"
    hooks: "Hooks"
    known: frozenset[tuple[str, str]]
    able: tuple[str, ...]

    def targets(self, which: Which) -> "list[Target]":
        """Return what a person has named."""
        from bridge.core.hooks import ScopeKind
        from bridge.pipeline.deciding.hook_places import Target, host_of, named_target

        found = [named_target(one, which.host, self.known, self.able) for one in which.repositories]
        for name in which.owners:
            host = which.host or host_of(self.able, name)
            found.append(Target(host, ScopeKind.OWNER, name))
        if which.app:
            found.append(Target(which.host or host_of(self.able, "the App"), ScopeKind.APP, ""))
        if which.every:
            found += [
                Target(host, ScopeKind.REPOSITORY, name)
                for host, name in sorted(self.known)
                if which.host in (None, host) and host in self.able
            ]
        return list(dict.fromkeys(found))


@asynccontextmanager
async def _reached(config: "Path | None") -> AsyncIterator[Reach]:
    from bridge.app.keyrings import hooks_of
    from bridge.app.providers import host_apis
    from bridge.app.storage import open_stores
    from bridge.githosts.server import homes_of
    from bridge.pipeline.deciding.reconcile import wanted_of
    from bridge.ports.hooks import ManagesHooks

    settings = settings_of(config)
    async with AsyncExitStack() as stack:
        apis = host_apis(settings)
        for api in apis.values():
            stack.push_async_callback(api.close)
        stores = await stack.enter_async_context(open_stores(settings))
        known = frozenset(
            wanted_of(await stores.journal.apps(), homes_of(settings.host_servers().values()))
        )
        able = tuple(name for name, api in apis.items() if isinstance(api, ManagesHooks))
        yield Reach(
            settings, stores, hooks_of(settings, stores.journal, apis, by=person()), known, able
        )


async def _looked(
    reach: Reach, targets: "list[Target]", *, back: bool = False
) -> "tuple[list[Place], list[str]]":
    """Return the places, and why others can't be looked at; `back`: also those that are gone."""
    look = reach.hooks.look_back if back else reach.hooks.look
    places: list[Place] = []
    failed: list[str] = []
    for one in targets:
        try:
            places.append(await look(one))
        except BridgeError as error:
            failed.append(f"{one.host} {one.name or 'the App'}: {error}")
    return places, failed


# ── `hooks list` ────────────────────────────────────────────────────────────────────────────────


@_command("list", DEPLOYED, "yes")
async def _list(which: Which, how: How) -> int:
    """List the webhooks that lead to this bridge, and what is wrong with them.

    Without a name: of every repository that an app deploys from.
    """
    async with _reached(how.config) as reach:
        if which.none:
            which = Which(every=True, host=which.host)
        places, failed = await _looked(reach, reach.targets(which))
    why_none = "no app deploys from a repository of a Git host that can be asked"
    if places or how.json or not failed:
        _LISTING.say(places, why_none, json=how.json)
    if not how.json:
        for place in places:
            for warning in place.warnings():
                hint(clean(f"warning: {warning}"), "yellow")
        if places and reach.settings.public_url is None:
            hint(NO_ADDRESS, "yellow")
    for why in failed:
        say_error(why)
    return 1 if failed else 0


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


def _row(place: "Place") -> list[str]:
    return [place.host, str(place.scope), _state(place), "; ".join(_said(place))]


def _state(place: "Place") -> str:
    there = [one for one in place.hooks if one.reports]
    if not there:
        return "unknown" if place.scope in place.unseen else "none"
    return "wrong" if any(one.faults for one in there) else "good"


def _said(place: "Place") -> list[str]:
    """Return what is known of each webhook, for people."""
    said: list[str] = []
    for one in place.hooks:
        whose = "the backend's own" if one.deploys_itself else _by(one)
        state = f", {one.made.state}" if one.made and one.made.state != "live" else ""
        above = "" if one.hook.scope == place.scope else f" of {one.hook.scope}"
        wrong = f": {'; '.join(one.faults)}" if one.faults else ""
        said.append(f"webhook {one.hook.id}{above}, {whose}{state}{wrong}")
    if place.scope in place.unseen:
        said.append("the bridge's credential may not see its webhooks")
    return said or ["no webhook reports it; `dokploy-bridge hooks install` makes one"]


def _by(one: "SeenHook") -> str:
    return "made by the bridge" if one.made else "made by hand"


_LISTING: "Listing[Place]" = Listing(
    form=_form,
    columns=("host", "repository", "state", "*webhooks"),
    row=_row,
    line=lambda place: " ".join([*_row(place)[:3], "-", _row(place)[3]]),
    side=3,
)


# ── `hooks install`, `hooks remove` ─────────────────────────────────────────────────────────────


@_command("install", DEPLOYED)
async def _install(which: Which, how: How) -> int:
    """Make the webhooks that are missing, and correct those that are wrong.

    Each repository is reported by one webhook: its own, its organisation's or group's, or the
    App's. Each webhook has a secret of its own, which speaks for no other repository.
    """
    _must_name(which)
    from bridge.core.hooks import ScopeKind
    from bridge.pipeline.deciding.hook_places import Target

    async with _reached(how.config) as reach:
        places, failed = await _looked(reach, reach.targets(which))
        steps: list[Step] = []
        for place in places:
            below: list[Place] = []
            if place.scope.kind is ScopeKind.OWNER:
                inside = f"{place.scope.name}/".casefold()
                own = [
                    Target(host, ScopeKind.REPOSITORY, name)
                    for host, name in sorted(reach.known)
                    if host == place.host and name.casefold().startswith(inside)
                ]
                below, more = await _looked(reach, own)
                failed += more
            steps += reach.hooks.plan_install(place, below)
        none = "there is nothing to do: no app deploys from a repository of a Git host"
        return await _carry_out(reach, steps, failed, how, none)


@_command("remove", MADE, "app")
async def _remove(which: Which, how: How) -> int:
    """Remove webhooks that the bridge has made, with their secrets."""
    _must_name(which)
    async with _reached(how.config) as reach:
        targets = await _made_targets(reach) if which.every else []
        places, failed = await _looked(reach, reach.targets(_named(which)) + targets, back=True)
        steps: list[Step] = []
        for place in places:
            steps += reach.hooks.plan_remove(place)
        return await _carry_out(reach, steps, failed, how, NONE_MADE)


def _named(which: Which) -> Which:
    return Which(which.repositories, which.owners, which.app, which.host)


async def _made_targets(reach: Reach) -> "list[Target]":
    from bridge.core.hooks import ScopeKind
    from bridge.pipeline.deciding.hook_places import Target

    return [
        Target(one.host, one.scope.kind, one.scope.name)
        for one in await reach.hooks.made()
        if one.scope.kind is not ScopeKind.APP
    ]


async def _carry_out(
    reach: Reach, steps: "list[Step]", failed: list[str], how: How, none: str
) -> int:
    """Show the steps, ask, and carry them out; one that fails stops only those that rely on it."""
    _show(steps, how, "" if failed else none)
    for why in failed:
        say_error(why)
    todo = [one for one in steps if one.does != "keep"]
    if todo:
        agree("Carry this out?", how)
    undone: set[tuple[str, Scope]] = set()
    for step in todo:
        if step.once is not None and (step.host, step.once) in undone:
            hint(clean(f"keep the webhook of {step.scope}: {step.once} has none"), "yellow")
            continue
        try:
            await reach.hooks.carry_out(step)
        except BridgeError as error:
            undone.add((step.host, step.scope))
            say_error(f"{step.does} {step.host} {step.scope}: {error}")
        else:
            if not how.json:
                say(clean(f"{_DONE[step.does]} the webhook of {step.scope} at {step.host}"))
    return 1 if failed or undone else 0


_DONE = {"create": "made", "change": "corrected", "remove": "removed"}


def _show(steps: "list[Step]", how: How, none: str) -> None:
    rows = [[str(one.does), one.host, str(one.scope), one.why] for one in steps]
    if how.json:
        names = ("does", "host", "name", "why")
        say_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    if none and not rows:
        hint(none)
    lines = [f"{row[0]} {row[1]} {row[2]}{f': {row[3]}' if row[3] else ''}" for row in rows]
    say_table(("step", "host", "repository", "*why"), rows, lines)


# ── `hooks rotate` ──────────────────────────────────────────────────────────────────────────────


@_command("rotate", MADE)
async def _rotate(which: Which, how: How) -> int:
    """Replace the secrets of webhooks that the bridge has made, without losing a delivery.

    Both secrets are accepted until a delivery with the new one has arrived. Run it again if it was
    interrupted, or if nothing has arrived yet.
    """
    _must_name(which)
    from bridge.app.data_folder import is_running
    from bridge.pipeline.deciding.hook_places import rotated_of

    async with _reached(how.config) as reach:
        every = await reach.hooks.made()
        those = every if which.every else rotated_of(every, reach.targets(_named(which)))
        if not those:
            hint(NONE_MADE)
            return 0
        if how.json:
            say_json([_made_form(one) for one in those])
        else:
            for one in those:
                say(clean(f"rotate the secret of {one.scope} at {one.host}"))
        agree("Replace these secrets?", how)
        running = await asyncio.to_thread(is_running, reach.settings)
        if not running:
            hint("no bridge is running here, so nothing that a new secret has signed can arrive")
        within = ARRIVES if running else 0.0
        done = [await _rotated(reach, one, how, within) for one in those]
    if all(done):
        return 0
    then = "after the next push" if running else "start it, then"
    hint(f"until then both secrets are accepted; {then} run this again")
    return 1


def _made_form(one: "MadeHook") -> dict[str, Any]:
    return {
        "host": one.host,
        "kind": str(one.scope.kind),
        "name": one.scope.name,
        "id": one.hook,
        "state": str(one.state),
    }


async def _rotated(reach: Reach, made: "MadeHook", how: How, within: float) -> bool:
    try:
        done = await reach.hooks.rotate(made, reach.stores.inbox, patience(within))
    except BridgeError as error:
        say_error(f"rotate {made.host} {made.scope}: {error}")
        return False
    if not done:
        say_error(clean(f"{made.scope}: nothing signed with the new secret has arrived yet"))
    elif not how.json:
        say(clean(f"rotated the secret of {made.scope} at {made.host}"))
    return done


def patience(seconds: float) -> Callable[[], Awaitable[bool]]:
    """Return what waits for the next look at the inbox, which another process writes."""
    until = time.monotonic() + seconds

    async def wait() -> bool:
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(LOOK)
        return True

    return wait
