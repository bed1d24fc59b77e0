"""`previews`: the previews of pull requests, and what people may do with one."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import known_app, person, person_key
from bridge.cli.completion import complete_app, complete_preview
from bridge.cli.context import Config, Json, kept_in, run, settings_of
from bridge.cli.show import STYLES, Listing, ago, clean, iso, say, say_json

if TYPE_CHECKING:
    from rich.text import Text

    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.core.lifecycle import Deployment, State
    from bridge.core.policies import PreviewPolicy
    from bridge.core.previews.native import NativePreview
    from bridge.core.previews.preview import Preview
    from bridge.pipeline.previews.commands import Asker, PreviewCommands

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
    "waiting": "waiting",
    "building": "running",
    "failed": "failed",
    "cancelled": "cancelled",
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
    """List the previews of pull requests, newest first; those of the backend's own come last."""
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
        newest: the state of the newest deployment of previews' apps, by their ids.
        served: what these serve.
    """

    stores: "Stores"
    policies: "dict[str, PreviewPolicy | None]"
    commands: "PreviewCommands"
    asker: "Asker"
    newest: "dict[str, State]" = field(default_factory=dict)
    served: "dict[str, Deployment]" = field(default_factory=dict)

    async def look_up(self, those: "Iterable[Preview]") -> None:
        """Read what was deployed of previews, before they are shown."""
        made = [one.made for one in those if one.made is not None]
        newest = await self.stores.journal.briefly(made, 1)
        self.newest.update((id_, those[0].state) for id_, those in newest.items() if those)
        apps = [app for app in await self.stores.journal.apps() if app.id in made]
        serving = await self.stores.journal.serving(apps)
        self.served.update((id_, one.ours) for id_, one in serving.items() if one.ours)

    def form(self, one: "Preview | NativePreview") -> dict[str, Any]:
        """Return a preview as JSON has it."""
        from bridge.core.previews.native import NativePreview
        from bridge.views.preview_reasons import native_form, preview_form

        if isinstance(one, NativePreview):
            return native_form(one)
        id_ = one.made or ""
        newest, served = self.newest.get(id_), self.served.get(id_)
        return preview_form(one, self.policies.get(one.app_id), newest, served)

    def row(self, one: "Preview | NativePreview", now: float) -> "list[str | Text]":
        """Return the cells of a preview in a table."""
        from rich.text import Text

        from bridge.core.previews.native import NativePreview

        if isinstance(one, NativePreview):
            ends = None
        else:
            ends = one.idle_at(self.policies.get(one.app_id))
        return [
            one.name,
            Text(state := self.state(one), STYLES.get(TONES.get(state, state), "")),
            _commit(one)[:7],
            ago(one.active_at, now),
            "" if ends is None else _in(ends - now),
            self.about(one),
        ]

    def state(self, one: "Preview | NativePreview") -> str:
        """Return the state that people want to know: whether its address works."""
        from bridge.core.previews.native import NativePreview
        from bridge.core.previews.preview import shown_state

        if isinstance(one, NativePreview):
            return one.state
        return shown_state(one, self.newest.get(one.made or ""))

    def about(self, one: "Preview | NativePreview") -> str:
        """Return the address of a preview, and what else is to be said of it."""
        from bridge.core.previews.native import NativePreview
        from bridge.core.previews.preview import still_served

        if isinstance(one, NativePreview):
            return "; ".join(part for part in (one.url, one.whose) if part)
        id_ = one.made or ""
        still = still_served(self.newest.get(id_), self.served.get(id_))
        return "; ".join(part for part in (one.url, still, why_of(one)) if part)


@asynccontextmanager
async def desk(config: Path | None) -> AsyncIterator[Desk]:
    """Open the stores, with what people do with previews."""
    from bridge.core.rules import ruled
    from bridge.pipeline.gates.commands import Requester
    from bridge.pipeline.previews.commands import Asker, PreviewCommands
    from bridge.settings import book_of

    settings = settings_of(config)
    async with kept_in(settings) as stores:
        book = book_of(settings)
        apps: list[App] = [ruled(app, book) for app in await stores.journal.apps()]
        yield Desk(
            stores,
            {app.id: app.rules.previews for app in apps},
            PreviewCommands(stores.journal, time.time),
            Asker(Requester(person_key(), person())),
        )


async def _list(config: Path | None, app: str | None, *, every: bool, json: bool) -> None:
    from bridge.pipeline.previews.commands import without_native

    async with desk(config) as at:
        of_app = None if app is None else (await known_app(at.stores.journal, app)).app.id
        native = await at.commands.native_seen_by(at.asker)
        ours = await at.commands.seen_by(at.asker, ended=every)
        await at.look_up(ours)
    those: list[Preview | NativePreview] = [*without_native(ours, native), *native]
    found = [one for one in those if of_app in (None, one.app_id)]
    now = time.time()
    columns = ("preview", "state", "commit", "active", "ends", "*about it")
    listing: Listing[Preview | NativePreview] = Listing(
        at.form, columns, lambda one: at.row(one, now), lambda one: _line(at, one), side=5
    )
    listing.say(found, NONE_AT_ALL if every else NONE, json=json)


async def _stop(config: Path | None, name: str, *, json: bool) -> None:
    async with desk(config) as at:
        found = await at.commands.named_ours(at.asker, name)
        after = await at.commands.stop(at.asker, found)
        await at.look_up([after])
    _said(at, after, f"stopped: {after.label}; a push or `previews extend` starts it again", json)


async def _extend(config: Path | None, name: str, *, json: bool) -> None:
    async with desk(config) as at:
        found = await at.commands.named_ours(at.asker, name)
        after = await at.commands.extend(at.asker, found)
        await at.look_up([after])
    policy = at.policies.get(after.app_id)
    lasts = "" if policy is None else f" for {_lasting(policy.idle)} without a push"
    _said(at, after, f"extended: {after.label} stays{lasts}", json)


async def _approve(config: Path | None, name: str, commit: str | None, *, json: bool) -> None:
    async with desk(config) as at:
        found = await at.commands.named_ours(at.asker, name)
        wanted = found.pull.head_sha if commit is None else commit
        after = await at.commands.approve(at.asker, found, wanted)
        await at.look_up([after])
    of = f" of {after.pull.author}" if after.pull.author else ""
    _said(at, after, f"approved: {after.label} at {after.pull.head_sha[:12]}{of}", json)


def _said(at: Desk, after: "Preview", words: str, json: bool) -> None:
    if json:
        say_json(at.form(after))
    else:
        say(clean(words))


# ── how they are shown ──────────────────────────────────────────────────────────────────────────


def why_of(one: "Preview") -> str:
    """Return why a preview is not up, or why its next step fails; "" if all is well."""
    from bridge.core.masking import redact

    if one.state == "up" and not one.failures:
        return ""
    return clean(redact(one.note) or one.reason)


def _line(at: Desk, one: "Preview | NativePreview") -> str:
    words = (one.name, at.state(one), _commit(one)[:7], f"since {iso(one.active_at)}")
    line, about = " ".join(filter(None, words)), at.about(one)
    return f"{line}: {about}" if about else line


def _commit(one: "Preview | NativePreview") -> str:
    from bridge.core.previews.native import NativePreview

    return (one.commit or "") if isinstance(one, NativePreview) else one.pull.head_sha


def _in(seconds: float) -> str:
    return "now" if seconds <= 0 else f"in {_lasting(seconds)}"


def _lasting(seconds: float) -> str:
    """Return a length of time in one unit, e.g. "7 d"."""
    return ago(0.0, seconds).removesuffix(" ago")
