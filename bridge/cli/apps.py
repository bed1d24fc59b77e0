"""`apps` lists the apps; `app create` and `app delete` work on the embedded backend."""

import time
from json import dumps
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.backends import BACKENDS, titles
from bridge.cli.backend import warn_of_troubles
from bridge.cli.configure import How, Yes, agree, option
from bridge.cli.context import Config, Json, kept_in, run, settings_of
from bridge.cli.deployments import AppName, source_of
from bridge.cli.forms import app_form, said, tag_words, written
from bridge.cli.show import (
    STYLES,
    Listing,
    ago,
    clean,
    console,
    hint,
    iso,
    on_terminal,
    say,
    say_json,
    short_branch,
)
from bridge.core.apps import of_people
from bridge.core.errors import NotFound, Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from bridge.core.apps import App, Rules
    from bridge.core.health.serving import Serving
    from bridge.core.lifecycle import Deployment
    from bridge.settings import Settings

TWICE = "auto-deploy is on at the backend, so every push deploys twice: `adopt` turns it off"

RULED_MARK = "†"
RULED = f"{RULED_MARK} by our own rules, not by the backend's record"

group = typer.Typer(
    no_args_is_help=True,
    help="Create and delete apps of the embedded backend, over its API if it runs,"
    f" else directly in the data directory. Apps of a {titles()} are made in {titles()}.",
)


def apps(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD]…", help="Only apps whose name or source contains all of these words."
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
    gone: Annotated[
        bool, typer.Option("--gone", help="Apps that were deleted, or whose backend was removed.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also the apps of previews, which `previews` lists.")
    ] = False,
) -> None:
    """List the apps: what is live since when, and what deploys each, including our own rules."""
    work = _gone if gone else _list
    run(work(settings_of(config), words or [], json, every=every))


@group.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, e.g. web.")],
    repo: Annotated[
        str, typer.Option("--repo", help="Clone address, or a folder with a Git repository.")
    ],
    branch: Annotated[str, typer.Option("--branch", help="The branch it deploys.")] = "main",
    publish: Annotated[
        str, typer.Option("--publish", help="Folder of the repository that is served.")
    ] = ".",
    watch: Annotated[
        list[str] | None,
        typer.Option("--watch", help="Deploy only when a file matches, e.g. 'web/**'. Repeatable."),
    ] = None,
    trigger: Annotated[str | None, option("trigger")] = None,
    tags: Annotated[str | None, option("tags")] = None,
    project: Annotated[str, typer.Option("--project", help="The project it is in.")] = "default",
    spa: Annotated[
        bool, typer.Option("--spa", help="Unknown addresses get the front page.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create a static site at the embedded backend from a Git repository."""
    from bridge.cli.backend import person
    from bridge.cli.embedded import create_site
    from bridge.cli.new_site import NewSite
    from bridge.core.matching.lint import lint

    rules = _rules_of(trigger, tags)
    site = NewSite(name, repo, branch, publish, tuple(watch or ()), project, spa, rules)
    made, url = run(create_site(settings_of(config), site, by=person()))
    if json:
        say_json(app_form(made, None) | {"url": url})
        return
    where = f"; after its first deployment it is at {url}" if url else ""
    say(f"made {made.label}{where}")
    for finding in lint(made.watched):
        if finding.level != "note":
            hint(clean(f"{finding.level}: {finding.words}"))
    hint(f"deploy it now: dokploy-bridge deploy {made.label} --follow")


def _rules_of(trigger: str | None, tags: str | None) -> "Rules | None":
    """Return the bridge's own rules for a new app; raise Rejected if they contradict each other."""
    from bridge.core.apps import Rules, Trigger
    from bridge.core.matching.lint import lint
    from bridge.core.refs import unmatchable

    if trigger is not None and trigger not in tuple(Trigger):
        raise Rejected(f"--trigger must be push or tag, not {trigger[:40]!r}")
    if tags is not None and trigger != Trigger.TAG:
        raise Rejected("--tags selects the tags that deploy: give --trigger tag with it")
    if tags is not None:
        if not tags.strip():
            raise Rejected("--tags is empty; give a glob, e.g. 'v*', or leave it out")
        if why := unmatchable(tags, "tag"):
            raise Rejected(f"--tags {tags[:40]!r}: {why}")
        for one in lint([tags]):
            if one.level == "error":
                raise Rejected(f"--tags {tags[:40]!r}: {one.sentence} {one.remedy}")
    return None if trigger is None else Rules(trigger=Trigger(trigger), tags=tags)


@group.command()
def delete(
    name: AppName,
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Delete an app of the embedded backend, with its site and its logs."""
    from bridge.cli.backend import person
    from bridge.cli.embedded import delete_app, find_embedded

    settings = settings_of(config)
    if not yes:
        app = run(find_embedded(settings, name))
        name = app.id
        hint(clean(f"this deletes {app.label} with its site and its logs"))
    agree("delete it?", How(config, yes=yes))
    gone = run(delete_app(settings, name, by=person()))
    say(f"deleted {clean(gone.label)}")


async def _list(settings: "Settings", words: "Sequence[str]", json: bool, *, every: bool) -> None:
    from bridge.core.rules import ruled
    from bridge.settings import book_of

    found: list[App] = []
    last: dict[str, Deployment] = {}
    live: dict[str, Serving] = {}
    why_none = _none_yet(settings)
    try:
        async with kept_in(settings) as stores:
            book = book_of(settings)
            there = [ruled(app, book) for app in _listed(await stores.journal.apps(), every)]
            found = having(there, words)
            if there and not found:
                why_none = f"no app has {' and '.join(map(repr, words))} in its name or source"
            last = await stores.journal.last_deployments()
            live = await stores.journal.serving(found)
            await warn_of_troubles(settings, stores)
    except NotFound as error:
        why_none = str(error)
    several = len({app.backend for app in found}) > 1
    listing: Listing[App] = Listing(
        lambda app: app_form(app, last.get(app.id), live.get(app.id)),
        ("app", "live", "since", "last", "*about it", "*deploys"),
        lambda app: _row(app, last.get(app.id), live.get(app.id), _at(app, several)),
        lambda app: _line(app, last.get(app.id), live.get(app.id)) + _at(app, several),
        side=4,
    )
    listing.say(found, why_none, json=json)
    _warn(found)


def having(apps: "Sequence[App]", words: "Sequence[str]") -> "list[App]":
    """Return the apps whose label, id or source contains all of the words."""
    wanted = [word.lower() for word in words]
    return [
        app
        for app in apps
        if all(word in f"{app.label} {app.id} {source_of(app)}".lower() for word in wanted)
    ]


def _listed(apps: "Sequence[App]", every: bool) -> "list[App]":
    """Return the apps to list: those of previews only if asked for."""
    return list(apps) if every else of_people(apps)


async def _gone(settings: "Settings", words: "Sequence[str]", json: bool, *, every: bool) -> None:
    async with kept_in(settings) as stores:
        found = having(_listed(await stores.journal.gone_apps(), every), words)
        last = await stores.journal.last_deployments()
    listing: Listing[App] = Listing(
        lambda app: app_form(app, last.get(app.id)),
        ("app", "id", "backend", "last"),
        lambda app: [app.label, app.id, app.backend, _state(last.get(app.id))],
        lambda app: (
            f"{app.label}: {app.id} of {app.backend}, gone; last {_state(last.get(app.id))}"
        ),
    )
    listing.say(found, "no app is gone", json=json)


def _state(last: "Deployment | None") -> str:
    return str(last.state) if last else "never"


def _none_yet(settings: "Settings") -> str:
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


def _warn(found: "list[App]") -> None:
    if not on_terminal():
        return
    if any(RULED_MARK in _deploys(app) for app in found):
        console().print(RULED, style="dim")
    twice = [app.label for app in found if app.deploys_twice]
    if twice:
        console().print(f"⚠ {', '.join(twice)}: {TWICE}", style="yellow")


def _at(app: "App", several: bool) -> str:
    """Return an app's backend, if the list has several."""
    return f"; at {app.backend}" if several else ""


def _row(
    app: "App", last: "Deployment | None", live: "Serving | None", at: str
) -> "list[str | Text]":
    from rich.text import Text

    since = live and live.live_since and ago(live.live_since, time.time())
    state = Text(str(last.state), STYLES[last.state]) if last else Text("never", "dim")
    about = "; ".join(_about(live)) if live else ""
    return [app.label, live_commit(live), since or "", state, about, _deploys(app) + at]


def live_commit(live: "Serving | None") -> str:
    """Return the live commit or image; "?" if it is not known, "" if nothing is live yet."""
    if live is None:
        return ""
    return live.commit[:7] if live.commit else clean(live.version or "?")


def _about(live: "Serving") -> list[str]:
    """Return who brought what is live, how far behind it is, and whether it works."""
    from bridge.views.deployments import person_of
    from bridge.views.view import plain

    by = plain(person_of(live.by))
    return [*([f"by {clean(by)}"] if by and live.known else []), *live.notes]


def _deploys(app: "App") -> str:
    """Return what deploys an app, as part of a sentence."""
    if app.marker:
        return f"its pull request, from {source_of(app)}"
    if not app.pushed:
        return f"no push: its source is {source_of(app)}"
    rules = said(app.rules)
    tags = ", ".join(f"{one}{RULED_MARK}" for one in tag_words(app.rules))
    what = _marked(str(app.waits_for), "trigger" in rules)
    branch = _marked(short_branch(app.branch or "no branch"), "branch" in rules)
    watched = _marked(" ".join(app.watched or ("everything",)), "watch_paths" in rules)
    what = f"{what} {tags}" if tags else what
    return f"{what} of {branch}{_pinned(app)} from {source_of(app)}, watches {watched}"


def _pinned(app: "App") -> str:
    from bridge.core.pins import pin_of

    return " (pinned)" if pin_of(app) else ""


def _marked(text: str, by_rule: bool) -> str:
    return f"{text}{RULED_MARK}" if by_rule else text


def _line(app: "App", last: "Deployment | None", live: "Serving | None") -> str:
    state = f"last {last.state}" if last else "never deployed"
    line = f"{waits_in_words(app)}, {state}"
    if live is not None:
        since = "" if live.live_since is None else f" since {iso(live.live_since)}"
        what = f"{live.word} {live_commit(live)}{since}"
        line += f", {what} ({'; '.join(_about(live))})"
    return line + (f"; warning: {TWICE}" if app.deploys_twice else "")


def waits_in_words(app: "App", *, short: bool = False) -> str:
    """Return what deploys an app, with the part that comes from our own rules.

    Args:
        short: shorten a long branch in the middle.
    """
    if app.marker:
        return f"{app.label}: its pull request deploys it, from {source_of(app)}"
    if not app.pushed:
        return f"{app.label}: no push deploys it, its source is {source_of(app)}"
    watched = " ".join(app.watched or ("everything",))
    branch = app.branch or "no branch"
    branch = short_branch(branch) if short else branch
    line = f"{app.label}: {app.waits_for} of {branch}{_pinned(app)} from {source_of(app)}"
    rules = ", ".join(f"{name}={dumps(value)}" for name, value in written(app.rules).items())
    return f"{line}, watches {watched}" + (f", by our rules {rules}" if rules else "")
