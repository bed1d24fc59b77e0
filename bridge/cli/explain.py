"""`explain`: what a payload means and what would be decided, without acting on it."""

from contextlib import AsyncExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.chats import asking_hosts
from bridge.cli.backend import warn_of_owed
from bridge.cli.context import Config, Json, found, kept_in, run, settings_of
from bridge.cli.explain_pull import Explaining, explained_pull, show_pull
from bridge.cli.forms import held_words, misses_of, say_decisions
from bridge.cli.holds import add_holds
from bridge.cli.show import clean, console, hint, on_terminal, say, say_json
from bridge.cli.what_if import Known, Payload, WhatIf, explained, of_delivery, read_payload
from bridge.core.errors import NotFound, Rejected
from bridge.githosts import HOSTS

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.apps import Rules
    from bridge.core.events import Event
    from bridge.ports.inbox import Delivery
    from bridge.settings import Settings


class TriggerName(StrEnum):
    """The kinds of triggers."""

    PUSH = "push"
    TAG = "tag"


def explain(
    payload: Annotated[
        str,
        typer.Argument(
            metavar="PAYLOAD",
            help="A file with a webhook's body (or a whole request, .http), - for standard"
            " input, or the id of a kept delivery.",
        ),
    ],
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help=f"The service that sent it: {', '.join(HOSTS)}, or a further server.",
            show_default="guessed",
        ),
    ] = None,
    event: Annotated[
        str | None,
        typer.Option("--event", help="Its event, as in the header.", show_default="guessed"),
    ] = None,
    app: Annotated[str | None, typer.Option("--app", "-a", help="Only for this app.")] = None,
    watch_path: Annotated[
        list[str] | None,
        typer.Option(
            "--watch-path", "--path", help="What if an app watched this? Repeatable: 'web/**'."
        ),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option("--branch", help="What if it deployed this branch? A name or glob."),
    ] = None,
    trigger: Annotated[
        TriggerName | None, typer.Option("--trigger", help="What if this deployed it?")
    ] = None,
    tag_pattern: Annotated[
        str | None, typer.Option("--tag-pattern", help="What if it deployed tags like these? 'v*'.")
    ] = None,
    versions: Annotated[
        str | None,
        typer.Option("--versions", help="What if it deployed these versions? '>=1.2 <2'."),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what a webhook means and what each app would do, and why. Changes nothing.

    Of a pull request it shows whether each app would have a preview. If that depends on its files,
    the Git host is asked for them.

    A kept delivery is explained like its replay; a file, as if pushed now.

    If no app is known, the command assumes one that deploys from the payload's repository.
    """
    given_words = [("--branch", branch), ("--app", app), ("--tag-pattern", tag_pattern)]
    given_words += [("--watch-path", one) for one in watch_path or ()]
    for option, value in given_words:
        if value is not None and not value.strip():
            raise Rejected(f"{option} is empty; give a value, or leave it out")
    rules = _rules(tuple(watch_path or ()), branch, trigger, tag_pattern, versions)
    what_if = WhatIf(app, rules)
    is_file = payload == "-" or found(Path(payload).is_file)
    settings = settings_of(config)
    given = _read(payload, host, event, settings) if is_file else None
    run(_explain(settings, payload, given, what_if, json))


def _read(source: str, host: str | None, event: str | None, settings: "Settings") -> Payload:
    """Read a file; of several servers of a host, its repository's address tells which sent it."""
    from bridge.core.events import FromRepository, kind_of

    servers = settings.host_servers()
    records = {name: one.provider for name, one in servers.items()}
    payload = read_payload(source, host, event, records)
    alike = [one for name, one in servers.items() if kind_of(name) == payload.host]
    if host is not None or len(alike) < 2:
        return payload
    said = records[payload.host].reader().parse(payload.event, payload.headers, payload.body)
    if isinstance(said, FromRepository):
        for one in alike:
            if any(map(said.repository.is_at, one.addresses)):
                return replace(payload, host=one.name)
    return payload


def _rules(
    watch_paths: tuple[str, ...],
    branch: str | None,
    trigger: TriggerName | None,
    tags: str | None,
    versions: str | None,
) -> "Rules":
    """Return the assumptions to try; tag patterns imply the tag trigger. Raises BadRange."""
    from bridge.core.apps import Rules, Trigger
    from bridge.core.rules import Range

    if versions is not None:
        Range.parse(versions)
    if trigger is None and (tags is not None or versions is not None):
        trigger = TriggerName.TAG
    return Rules(
        trigger=None if trigger is None else Trigger(trigger),
        branch=branch,
        watch_paths=watch_paths or None,
        tags=tags,
        versions=versions,
    )


async def _explain(
    settings: "Settings",
    source: str,
    payload: Payload | None,
    what_if: WhatIf,
    json: bool,
) -> None:
    payload, known = await _gather(settings, source, payload)
    form = await _explained(settings, payload, known, what_if)
    if any(one["deploy"] for one in form["decisions"]) and known.apps:
        async with kept_in(settings) as stores:
            await add_holds(settings, stores, known.apps, form)
    if json:
        say_json(form)
        return
    for assumed in form["assumed"]:
        hint(f"assumed: {assumed}")
    _show(form)


async def _explained(
    settings: "Settings", payload: Payload, known: Known, what_if: WhatIf
) -> dict[str, Any]:
    from bridge.core.events import PullRequestChanged

    meaning = meaning_of(payload, settings)
    if isinstance(meaning, PullRequestChanged):
        async with AsyncExitStack() as stack:
            journal = None
            if known.apps:
                journal = (await stack.enter_async_context(kept_in(settings))).journal
            explaining = Explaining(settings, journal, known, meaning)
            if (form := await explained_pull(payload, explaining, what_if)) is not None:
                return form
    return explained(payload, meaning, known, what_if)


async def _gather(
    settings: "Settings", source: str, payload: Payload | None
) -> tuple[Payload, Known]:
    """Return the payload, from a file or the inbox, and the basis of decisions."""
    from bridge.pipeline.deciding.arrivals import find_delivery
    from bridge.settings import policy_of

    try:
        async with kept_in(settings) as stores:
            pushed: float | None = None
            if payload is None:
                hosts = (*settings.host_servers(), *sorted(asking_hosts()))
                delivery = await find_delivery(stores.inbox, hosts, source)
                delivery = await _replayed(stores, delivery, settings)
                payload, pushed = of_delivery(delivery), _pushed_by(delivery, settings)
            await warn_of_owed(stores)
            return payload, replace(await _known(settings, stores), pushed_by=pushed)
    except NotFound as error:
        if payload is None:
            raise NotFound(f"{source!r} is no file, and {error}") from None
        return payload, Known(policy_of(settings))


async def _replayed(stores: "Stores", delivery: "Delivery", settings: "Settings") -> "Delivery":
    """Return the delivery that this one replays; any other unchanged."""
    from bridge.core.events import Action, Asked

    if delivery.host not in asking_hosts():
        return delivery
    meaning = meaning_of(of_delivery(delivery), settings)
    if not isinstance(meaning, Asked) or meaning.action is not Action.REPLAY:
        return delivery
    found = await stores.inbox.get(int(meaning.target)) if meaning.target.isdecimal() else None
    if found is None:
        raise NotFound(f"the delivery that {delivery.id} replays, {meaning.target}, is gone")
    return found


def _pushed_by(delivery: "Delivery", settings: "Settings") -> float | None:
    """Return a time by which its push had surely happened, as for a replay; None if it has none."""
    from bridge.core.events import RefPushed
    from bridge.pipeline.deciding.interpret import Meaning, pushed_by
    from bridge.ports.inbox import DeliveryState

    event = meaning_of(of_delivery(delivery), settings)
    if not isinstance(event, RefPushed):
        return None
    waits = delivery.state is DeliveryState.KEPT
    return pushed_by(Meaning(delivery, event, None, None if waits else delivery))


async def _known(settings: "Settings", stores: "Stores") -> Known:
    from bridge.core.rules import ruled
    from bridge.settings import book_of, policy_of

    book = book_of(settings)
    apps = [ruled(app, book) for app in await stores.journal.apps()]
    careful = [app.id for app in apps if app.rules.only_newer]
    tags = await stores.journal.tags(careful) if careful else {}
    return Known(policy_of(settings), apps, tags)


def meaning_of(payload: Payload, settings: "Settings") -> "Event":
    """Return its meaning; raise MalformedPayload, or Rejected for another server's repository."""
    from bridge.core.events import FromRepository, kind_of, parse_command
    from bridge.githosts.server import OwnRepositories

    if payload.host in asking_hosts():
        return parse_command(payload.event, payload.body)
    reader = HOSTS[kind_of(payload.host)].reader()
    event = reader.parse(payload.event, payload.headers, payload.body)
    if not isinstance(event, FromRepository):
        return event
    repository = replace(event.repository, host=payload.host)
    server = settings.host_servers().get(payload.host)
    if server is not None and server.serves:
        repository = OwnRepositories(server)(repository)
    return replace(event, repository=repository)


def _show(form: dict[str, Any]) -> None:
    if form["ignored"] is not None:
        say(clean(f"ignored: {form['ignored']}"))
        return
    if "previews" in form:
        show_pull(form)
        return
    if not on_terminal():
        for line in lines_of(form):
            typer.echo(clean(line))
        for one in form["decisions"]:
            for miss in misses_of(one):
                hint(clean(f"{one['app']}: {miss}"))
        return
    console().print(clean(heading(form)), style="bold")
    if form["decisions"]:
        say_decisions(form["decisions"])
    else:
        console().print(nobody(form), style="yellow")


def heading(form: dict[str, Any]) -> str:
    """E.g. `github push of main in my-org/mono by ada: 2 files changed`."""
    ref = form["ref"].removeprefix("refs/heads/").replace("refs/tags/", "tag ")
    files = form["paths"]
    count = form["paths_note"] if files is None else f"{len(files)} files changed"
    count = "1 file changed" if files is not None and len(files) == 1 else count
    by = f" by {form['pusher']}" if form["pusher"] else ""
    return f"{form['host']} push of {ref} in {form['repository']}{by}: {count}"


def lines_of(form: dict[str, Any]) -> list[str]:
    """Return one line for each app, as in `skip web: no_path_hit (2 files changed, …)`."""
    lines: list[str] = []
    for one in form["decisions"]:
        verb = "deploy" if one["deploy"] else "skip"
        lines.append(f"{verb} {one['app']}: {one['reason']} ({one['evidence']})")
        lines += [f"held {one['app']}: {words}" for words in held_words(one)]
    return lines or [nobody(form)]


def nobody(form: dict[str, Any]) -> str:
    """Return the text for a repository that no app deploys from."""
    return (
        f"no app deploys from {form['repository']} on {form['host']};"
        " --watch-path, --branch or --trigger show what an app would do"
    )
