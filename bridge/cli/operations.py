"""Operations on the command line: each command is derived, and each answer rendered, here."""

import inspect
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import (
    apps_at,
    apps_now,
    apps_there,
    backends_of,
    configurers,
    person,
    person_key,
    troubles_of,
    warn_of_troubles,
)
from bridge.cli.build_logs import FollowLog, Raw, follow_log
from bridge.cli.completion import complete_app, complete_preview, complete_repository
from bridge.cli.configure import (
    How,
    Yes,
    agree,
    field_given,
    options_of,
    text_of,
    with_values,
)
from bridge.cli.context import (
    NOT_FOUND,
    Config,
    Follow,
    Json,
    run,
    settings_of,
    while_it_runs,
)
from bridge.cli.payloads import EventOption, HostOption, told_by_file
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.errors import NotFound, Rejected
from bridge.operations.base import GROUPS, Argument, Context, Door, Operation, offered
from bridge.operations.calls import carry_out
from bridge.operations.desk import Desk
from bridge.operations.typed import usage

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.pipeline.deciding.what_if import Told
    from bridge.pipeline.gates.gates import Heads
    from bridge.pipeline.gates.locks import Pulls
    from bridge.ports.backends import Backend
    from bridge.ports.githosts import HostApi
    from bridge.settings import Settings

CLI = "cli"

PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Show what would be done and exit.", show_default=False)
]

COMPLETES = {"app": complete_app, "preview": complete_preview, "repository": complete_repository}

OWN: Mapping[str, Mapping[str, Any]] = {
    "logs": {"follow": FollowLog, "raw": Raw},
    "explain": {"host": HostOption, "event": EventOption},
}
"""Options that only the command line has: whoever is there has the server, and a line that waits.

What follows by itself, without being kept, is in `FOLLOWED`, and what reads files, in `FILES`.
"""

FOLLOWED = {"logs": follow_log}

FILES = {"explain": told_by_file}


def add_operations(app: typer.Typer, family: str = "") -> None:
    """Add a command for each operation, or for those of a family; of several words, in groups."""
    here = [one for one in offered(Door.COMMAND_LINE) if family in ("", one.family)]
    groups = {"": app}
    for one in here:
        _add_groups(groups, one)
    for one in here:
        above, _, last = one.name.rpartition(" ")
        panel = None if above else one.family
        if (group := groups.get(one.name)) is not None:
            group.callback(invoke_without_command=True, help=one.help)(_alone(_command(one)))
        else:
            groups[above].command(last, rich_help_panel=panel)(_command(one))


def _add_groups(groups: dict[str, typer.Typer], asked: Operation) -> None:
    """Add the groups of an operation, each below that of the words before; they have names."""
    above: str = ""
    panel: str | None = asked.family
    for word in asked.name.split()[:-1]:
        name = f"{above} {word}".strip()
        if name not in groups:
            said = GROUPS.get(name)
            more: dict[str, Any] = {"no_args_is_help": True, "help": said} if said else {}
            groups[name] = typer.Typer(**more)
            groups[above].add_typer(groups[name], name=word, rich_help_panel=panel)
        above, panel = name, None


def _alone(command: Any) -> Any:
    """Return the command of a group, which does nothing before one of those below it."""

    def of_group(ctx: typer.Context, **given: Any) -> None:
        if ctx.invoked_subcommand is None:
            command(**given)

    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    parameters = inspect.signature(command).parameters.values()
    of_group.__dict__["__signature__"] = inspect.Signature([context, *parameters])
    of_group.__doc__ = command.__doc__
    return of_group


def examples_of_operations() -> Mapping[str, tuple[str, ...]]:
    """Return the examples of operations, by the words of the command."""
    return {
        one.name: tuple(f"dokploy-bridge {words}" for words in one.examples)
        for one in offered(Door.COMMAND_LINE)
    }


def _command(asked: Operation) -> Any:
    """Return the command of an operation, with the signature from which options are made."""

    def command(
        config: Config,
        json: bool,
        yes: bool = False,
        plan: bool = False,
        follow: bool = False,
        **given: Any,
    ) -> None:
        how, texts = How(config, json, yes), _texts(asked, given)
        if code := run(_carry_out(asked, texts, how, plan_only=plan, follow=follow)):
            raise typer.Exit(code)

    parameters = [*_parameters(asked), *_common(asked)]
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__name__, command.__doc__ = asked.name, asked.help
    return command


def _texts(asked: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given; a name that follows a word is given with it, e.g. "from APP"."""
    found = {name: value for name, value in given.items() if value not in (None, False, [])}
    for one in asked.arguments:
        if one.kind.sets is not None:
            for name in (one.name, f"{one.name}_stdin"):
                found.pop(name, None)
            found |= field_given(one.kind.sets, given)
        if one.kind.file:
            found["text"] = text_of(Path(found[one.name]))
    found |= with_values({one.name: one.kind for one in asked.arguments}, found)
    for one in filter(_follows_a_word, asked.arguments):
        words = found.get(one.name) or []
        took = one.kind.takes(words) if one.kind.takes is not None else None
        text, count = took or (words[0] if words else "", 1)
        if count != len(words):
            raise Rejected(f"write it like this: {usage(asked)}")
        found[one.name] = text
    return found


def _follows_a_word(one: Argument) -> bool:
    return one.kind.takes is not None and not one.kind.option


def _parameters(asked: Operation) -> Iterator[inspect.Parameter]:
    for one in asked.arguments:
        if one.kind.sets is not None:
            yield from options_of(one.kind.sets)
        elif one.kind.at(Door.COMMAND_LINE):
            yield _parameter(one.name, _annotation(one), _default(one))


def _default(one: Argument) -> Any:
    if one.required:
        return inspect.Parameter.empty
    return None if one.kind.many else one.default


def _annotation(one: Argument) -> Any:
    kind = one.kind
    return Annotated[_type(one), _option(one) if kind.option else _argument(one)]


def _type(one: Argument) -> Any:
    if one.kind.flag:
        return bool
    if _follows_a_word(one):
        return list[str]
    if one.kind.number:
        return int
    read: Any = list[str] if one.kind.many else str
    return read if one.required else read | None


def _argument(one: Argument) -> Any:
    kind = one.kind
    return typer.Argument(
        metavar=f"[{kind.metavar}]…" if kind.many else kind.metavar,
        help=kind.help,
        show_default=False,
        autocompletion=COMPLETES.get(kind.completes),
    )


def _option(one: Argument) -> Any:
    kind = one.kind
    names = [f"--{kind.option}", *([f"-{kind.short}"] if kind.short else [])]
    names += [f"--{kind.also}"] if kind.also else []
    if kind.number:
        least, most = kind.number
        return typer.Option(*names, min=least, max=most, help=kind.help)
    return typer.Option(
        *names,
        metavar=None if kind.flag or kind.rest else kind.metavar or None,
        help=kind.help,
        show_default=one.default or False,
        prompt=one.name.capitalize() if one.required and sys.stdin.isatty() else False,
        autocompletion=COMPLETES.get(kind.completes),
    )


def _common(asked: Operation) -> Iterator[inspect.Parameter]:
    yield _parameter("config", Config, None)
    yield _parameter("json", Json, default=False)
    if asked.kept:
        yield _parameter("follow", Follow, default=False)
    for name, annotation in OWN.get(asked.name, {}).items():
        yield _parameter(name, annotation, None)
    if asked.plan is not None:
        yield _parameter("plan", PlanOnly, default=False)
        yield _parameter("yes", Yes, default=False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


# ── a call ────────────────────────────────────────────────────────────────────────────────────────


async def _carry_out(
    asked: Operation, given: Mapping[str, Any], how: How, *, plan_only: bool, follow: bool
) -> int:
    """Carry out an operation and show its answers; ask where it asks. Return the exit code."""
    from bridge.cli.views import Links, show, show_failed
    from bridge.pipeline.gates.commands import Requester
    from bridge.ports.chats import Place
    from bridge.views.deploying import Kept

    key = person_key()
    asking, actor = Person(key, key.removeprefix(f"{CLI}:")), Requester(key, person())
    call, once = Call(asked.name, given), f"{CLI}-{secrets.token_hex(8)}"
    settings = settings_of(how.config)
    links = Links(settings)
    sent = FILES[asked.name](settings, given) if asked.name in FILES else None
    settings, none = await _with_data(settings, asked, given, sent)
    bad = False
    async with _opened(settings, asked, given, asking) as (desk, stores):
        while True:
            ctx = Context(replace(desk, sent=sent), call, asking, Place(), actor, once, plan_only)
            if follow and not asked.kept:
                return await FOLLOWED[asked.name](ctx, links, given["lines"], json=how.json)
            view = await carry_out(ctx)
            if none and view.empty:
                view = replace(view, head=(none,))
            if isinstance(view.data, Kept):
                from bridge.cli.deploy import kept

                return await kept(settings, stores, view, follow=follow, json=how.json)
            bad = bad or view.refused or bool(view.failed)
            if plan_only or view.asks is None or not how.json:
                show(view, links, json=how.json)
            else:
                show_failed(view)
            if plan_only or view.asks is None:
                return NOT_FOUND if view.missing else int(bad)
            agree(view.asks.question, how)
            call = view.asks.call


async def _with_data(
    settings: "Settings", asked: Operation, given: Mapping[str, Any], sent: "Told | None"
) -> "tuple[Settings, str]":
    """Return settings that lead to data: an empty store if there is none, and why.

    Raises:
        NotFound: there is none, and the operation needs some.
    """
    from bridge.app.data_folder import must_be_there
    from bridge.app.storage import open_stores

    if asked.of_backends:
        return settings, ""
    try:
        if not asked.sets_up:
            must_be_there(settings)
    except NotFound as error:
        if asked.asks_backends and not asked.kept:
            return settings, ""
        if asked.name in FILES and sent is None:
            raise NotFound(f"{given['delivery']!r} is no file, and {error}") from None
        if not asked.lists or ("app" in given and sent is None):
            raise
        nothing = Path(while_it_runs.enter_context(TemporaryDirectory()))
        settings = settings.model_copy(update={"data": nothing})
        async with open_stores(settings):
            return settings, str(error)
    return settings, ""


@asynccontextmanager
async def _opened(
    settings: "Settings", asked: Operation, given: Mapping[str, Any], asking: Person
) -> AsyncIterator[tuple[Desk, "Stores"]]:
    """Open the parts for whoever is on the server itself, who may do everything."""
    from bridge.app.keyrings import keyrings_of
    from bridge.app.pages import pages_of, suspects_of
    from bridge.app.serving import looks_of
    from bridge.app.storage import open_stores
    from bridge.core.rules import ruled
    from bridge.pipeline.audit import ChatAudit
    from bridge.pipeline.deciding.interpret import Reading
    from bridge.pipeline.deploying.rollback_plan import Replays, Ways
    from bridge.pipeline.feedback.build_logs import BuildLogs
    from bridge.pipeline.feedback.lookup import Finding, Known
    from bridge.pipeline.gates.commands import GateCommands
    from bridge.pipeline.gates.gates import Heads
    from bridge.pipeline.gates.locks import NO_PULLS
    from bridge.settings import book_of, identities_of, policy_of
    from bridge.settings.gates import freezes_of
    from bridge.views.links import Links

    access = Access((Grant((asking.id,), frozenset(Right)),))
    async with AsyncExitStack() as stack:
        heads, pulls = Heads({}, time.time, {}), NO_PULLS
        backends: Mapping[str, Backend] = {}
        asks_hosts = not asked.asks_hosts.isdisjoint(given)
        if asked.of_backends or (asked.asks_backends and (asks_hosts or not asked.asks_hosts)):
            backends = await stack.enter_async_context(backends_of(settings))
        stores = await stack.enter_async_context(open_stores(settings))
        journal, book = stores.journal, book_of(settings)
        if asked.kept:
            await warn_of_troubles(settings, stores)
        apis = _apis(settings, stack) if asked.sets_up or asks_hosts else {}
        if asks_hosts:
            heads, pulls = _hosts(settings, apis, stack)
        hosting = None
        away: dict[str, str] = {}
        if asked.sets_up:
            from bridge.app.hosting import hosting_of

            hosting = hosting_of(settings, stores, backends, apis)
            found, away = await apps_at(backends, journal)
        elif asked.of_backends and "app" in given:
            found = await apps_there(backends, stores, given["app"])
        elif asked.asks_backends and not asked.kept:
            found = await apps_now(backends, stores, str(given.get("app", "")))
        else:
            found = await journal.apps()
        apps = [ruled(app, book) for app in found]
        freezes, who = freezes_of(settings.freezes), identities_of(settings)
        known = Known(lambda: apps, dict, lambda _app, _here: (), lambda: None)
        looks, locks = looks_of(settings, journal, time.time), settings.rollback.lock
        ways = Ways(backends, looks, locks=locks, freezes=freezes)
        desk = Desk(
            CLI,
            journal,
            stores.inbox,
            Finding(journal, known, access),
            GateCommands(
                journal, known.apps, time.time, identities=who, pulls=pulls, head_of=heads.told
            ),
            ChatAudit(CLI, journal, time.time),
            known.apps,
            time.time,
            lambda: Reading(stores.inbox, keyrings_of(settings)),
            policy_of(settings),
            lambda: away,
            freezes=freezes,
            ways=ways,
            compare=Links(pages_of(settings)).compare,
            gone=await journal.gone_apps(),
            no_apps=_none_yet(settings),
            troubles=lambda: troubles_of(settings, stores),
            logs=BuildLogs(backends, journal, most=None),
            configurers=configurers(settings, stores, backends) if backends else None,
            suspects=suspects_of(settings, journal, time.time),
            hosting=hosting,
            none_shown=_none_shown(),
            hosts=settings.host_servers(),
            replays=Replays(heads, ways),
            apis=lambda: apis or _apis(settings, stack),
        )
        yield desk, stores


def _none_yet(settings: "Settings") -> str:
    """Return why no app is known, and what to do."""
    from bridge.backends import BACKENDS

    if settings.backends_set():
        return "no app is known yet; a bridge that runs reads them (`dokploy-bridge serve`)"
    return (
        "no app is known yet; `dokploy-bridge app create` makes one of the embedded backend, "
        + ", ".join(
            f"{one.variable(one.address)} and {one.variable(one.credential)} lead to those of your"
            f" {one.title}"
            for one in BACKENDS.values()
        )
    )


def _none_shown() -> str:
    """Return why nothing is published anywhere, and what to do."""
    from bridge.chats import CHATS
    from bridge.githosts import HOSTS

    hosts = ", ".join(one.variable(one.credential) for one in HOSTS.values())
    chats = (f"{one.title} ({one.variable(one.credential)})" for one in CHATS.values())
    return (
        "nothing is shown anywhere yet; it takes a push that concerns an app, and a credential for"
        f" its host ({hosts}) or for {' or '.join(chats)}"
    )


def _apis(settings: "Settings", stack: AsyncExitStack) -> "Mapping[str, HostApi]":
    """Return the APIs of the Git hosts that have a credential."""
    from bridge.app.providers import host_apis

    apis = host_apis(settings)
    for api in apis.values():
        stack.push_async_callback(api.close)
    return apis


def _hosts(
    settings: "Settings", apis: "Mapping[str, HostApi]", stack: AsyncExitStack
) -> "tuple[Heads, Pulls]":
    """Return what asks the Git hosts about branches and pull requests."""
    from bridge.app.providers import pulls_at
    from bridge.githosts.server import homes_of
    from bridge.pipeline.gates.gates import Heads

    heads = Heads(apis, time.time, homes_of(settings.host_servers().values()))
    stack.push_async_callback(heads.close)
    return heads, pulls_at(settings, apis)
