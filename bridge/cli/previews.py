"""`previews`: the previews of pull requests, and what people may do with one."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.completing import complete_app, complete_preview
from bridge.cli.reaching import known_app, person
from bridge.cli.show import STYLES, Listing, ago, clean, iso, say, say_json
from bridge.cli.using import Config, Json, kept_in, run, settings_of

if TYPE_CHECKING:
    from rich.text import Text

    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.core.previews.policy import PreviewPolicy
    from bridge.core.previews.preview import Preview
    from bridge.pipeline.preview_commands import Asker, PreviewCommands

PreviewName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The app and the pull request, e.g. shop/web#12; #12 if only one app has it.",
        show_default=False,
        autocompletion=complete_preview,
    ),
]

NONE = "there are no previews; `--all` lists the pull requests that have none, and why"
NONE_AT_ALL = (
    "no pull request is known for a preview; the rule `previews` in bridge.yaml gives an app some"
)

TONES = {
    "new": "waiting",
    "skipped": "skip",
    "held": "held",
    "making": "running",
    "up": "done",
    "ending": "running",
    "ended": "superseded",
}
"""The state of a deployment that looks like that of a preview."""

group = typer.Typer(help="The previews of pull requests: an app of its own for each.")


@group.callback(invoke_without_command=True)
def previews(
    ctx: typer.Context,
    app: Annotated[
        str | None,
        typer.Option(
            "--app",
            "-a",
            metavar="APP",
            help="Only of this app.",
            autocompletion=complete_app,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also pull requests without a preview, and why.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the previews of pull requests, newest first."""
    if ctx.invoked_subcommand is None:
        run(_list(config, app, every=every, json=json))


@group.command()
def stop(name: PreviewName, config: Config = None, json: Json = False) -> None:
    """Remove a preview, until its pull request is pushed to or it is extended."""
    run(_stop(config, name, json=json))


@group.command()
def extend(name: PreviewName, config: Config = None, json: Json = False) -> None:
    """Keep a preview as if it were pushed to now; start one again that was stopped or idle."""
    run(_extend(config, name, json=json))


@group.command()
def approve(
    name: PreviewName,
    commit: Annotated[
        str | None,
        typer.Option(
            "--commit",
            metavar="SHA",
            help="The commit that you have looked at; refused if there is a newer one."
            " Default: the newest.",
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let a pull request from a fork be built, at exactly one commit."""
    run(_approve(config, name, commit, json=json))


# ── the work ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Desk:
    """The stores with what people do with previews.

    Attributes:
        policies: how each app's pull requests are previewed, by the app's id.
    """

    stores: "Stores"
    policies: "dict[str, PreviewPolicy | None]"
    commands: "PreviewCommands"
    asker: "Asker"

    def form(self, one: "Preview") -> dict[str, Any]:
        """Return a preview as JSON has it."""
        return preview_form(one, self.policies.get(one.app_id))

    def row(self, one: "Preview", now: float) -> "list[str | Text]":
        """Return the cells of a preview in a table."""
        from rich.text import Text

        ends = one.idle_at(self.policies.get(one.app_id))
        return [
            one.name,
            Text(one.state, STYLES.get(TONES[one.state], "")),
            one.pull.head_sha[:7],
            ago(one.active_at, now),
            "" if ends is None else _in(ends - now),
            "; ".join(part for part in (one.url, why_of(one)) if part),
        ]


@asynccontextmanager
async def desk(config: Path | None) -> AsyncIterator[Desk]:
    """Open the stores, with what people do with previews."""
    from bridge.core.rules import ruled
    from bridge.pipeline.gate_commands import Actor
    from bridge.pipeline.preview_commands import Asker, PreviewCommands
    from bridge.settings import book_of

    settings = settings_of(config)
    async with kept_in(settings) as stores:
        book = book_of(settings)
        apps: list[App] = [ruled(app, book) for app in await stores.journal.apps()]
        by = person()
        name = by.removeprefix("cli: ")
        yield Desk(
            stores,
            {app.id: app.rules.previews for app in apps},
            PreviewCommands(stores.journal, time.time),
            Asker(Actor(f"cli:{name}", name, by)),
        )


async def _list(config: Path | None, app: str | None, *, every: bool, json: bool) -> None:
    async with desk(config) as at:
        of_app = None if app is None else (await known_app(at.stores.journal, app)).app.id
        found = await at.commands.seen_by(at.asker, ended=every)
    found = [one for one in found if of_app in (None, one.app_id)]
    now = time.time()
    columns = ("preview", "state", "commit", "active", "ends", "*about it")
    listing: Listing[Preview] = Listing(
        at.form, columns, lambda one: at.row(one, now), _line, side=5
    )
    listing.say(found, NONE_AT_ALL if every else NONE, json=json)


async def _stop(config: Path | None, name: str, *, json: bool) -> None:
    async with desk(config) as at:
        found = await at.commands.named(at.asker, name)
        after = await at.commands.stop(at.asker, found)
    _said(at, after, f"stopped: {after.label}; a push or `previews extend` starts it again", json)


async def _extend(config: Path | None, name: str, *, json: bool) -> None:
    async with desk(config) as at:
        found = await at.commands.named(at.asker, name)
        after = await at.commands.extend(at.asker, found)
    policy = at.policies.get(after.app_id)
    lasts = "" if policy is None else f" for {_lasting(policy.idle)} without a push"
    _said(at, after, f"extended: {after.label} stays{lasts}", json)


async def _approve(config: Path | None, name: str, commit: str | None, *, json: bool) -> None:
    async with desk(config) as at:
        found = await at.commands.named(at.asker, name)
        wanted = found.pull.head_sha if commit is None else commit
        after = await at.commands.approve(at.asker, found, wanted)
    of = f" of {after.pull.author}" if after.pull.author else ""
    _said(at, after, f"approved: {after.label} at {after.pull.head_sha[:12]}{of}", json)


def _said(at: Desk, after: "Preview", words: str, json: bool) -> None:
    if json:
        say_json(at.form(after))
    else:
        say(clean(words))


# ── how they are shown ──────────────────────────────────────────────────────────────────────────


def preview_form(one: "Preview", policy: "PreviewPolicy | None") -> dict[str, Any]:
    """Return a preview as JSON has it."""
    return {
        "id": one.id,
        "name": one.name,
        "app": one.app,
        "app_id": one.app_id,
        "pull_request": one.pull.number,
        "pull_request_url": one.pull.url,
        "title": one.pull.title,
        "author": one.pull.author,
        "fork": not one.pull.own,
        "state": str(one.state),
        "reason": str(one.reason),
        "note": one.note,
        "url": one.url,
        "commit": one.pull.head_sha,
        "asked_commit": one.asked,
        "approved_commit": one.approved,
        "approved_by": one.approver or None,
        "preview_app_id": one.made,
        "created_at": iso(one.created_at),
        "active_at": iso(one.active_at),
        "idle_at": iso(one.idle_at(policy)),
    }


def why_of(one: "Preview") -> str:
    """Return why a preview is not up, or why its next step fails; "" if all is well."""
    from bridge.core.log_text import redact

    if one.state == "up" and not one.failures:
        return ""
    return clean(redact(one.note) or one.reason)


def _line(one: "Preview") -> str:
    about = "; ".join(part for part in (one.url, why_of(one)) if part)
    line = f"{one.name} {one.state} {one.pull.head_sha[:7]} since {iso(one.active_at)}"
    return f"{line}: {about}" if about else line


def _in(seconds: float) -> str:
    return "now" if seconds <= 0 else f"in {_lasting(seconds)}"


def _lasting(seconds: float) -> str:
    """Return a length of time in one unit, e.g. "7 d"."""
    return ago(0.0, seconds).removesuffix(" ago")
