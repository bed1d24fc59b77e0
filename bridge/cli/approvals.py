"""`approve`, `override`: let a held deployment pass."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.backend import live_app
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Json, run
from bridge.cli.deployments import AppName
from bridge.cli.gates import Reason, desk_of, held_form
from bridge.cli.show import clean, hint, say, say_json

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.core.holds import Proposal
    from bridge.settings import Settings


def approve(
    app: AppName,
    commit: Annotated[
        str | None,
        typer.Option(
            "--commit",
            metavar="SHA",
            help="The commit that you have looked at; refused if another would be built by now.",
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Approve the commit that a held deployment would build, once it is shown."""
    run(_approve(app, commit, How(config, json, yes)))


async def _approve(name: str, commit: str | None, how: How) -> None:
    from bridge.pipeline.gates.commands import proposed

    async with desk_of(how.config, asks_hosts=True) as desk:
        app = await live_app(desk.stores.journal, name)
        waiting = await desk.commands.held(app)
        proposal = proposed(waiting)
        if not how.json:
            for depth, line in _lines(desk.settings, app, proposal):
                say("  " * depth + clean(line))
        if commit is None:
            agree(f"Approve {proposal.commit[:7]} of {app.label}?", how)
        meant = proposal.commit if commit is None else commit
        new = await desk.commands.approve(desk.actor, waiting, meant)
    if how.json:
        say_json({"app": app.label, "commit": proposal.commit, "new": new})
    else:
        did = "approved" if new else "you had approved it already, so nothing changed"
        say(clean(f"{app.label} at {proposal.commit[:7]}: {did}"))


def _lines(settings: "Settings", app: "App", proposal: "Proposal") -> list[tuple[int, str]]:
    """Return what would be approved, and what it brings; each line with its indentation."""
    from bridge.app.providers import pages_of
    from bridge.chats.facts.links import Links
    from bridge.chats.facts.proposal import proposed_of

    one = proposed_of(proposal, app, Links(pages_of(settings)))
    author = f", by {proposal.author}" if proposal.author else ""
    says = f" {one.says.words}" if one.says.words else ""
    lines = [(0, f"{app.label} would build {proposal.commit[:7]}{says}{author}")]
    if proposal.live is None:
        return [*lines, (1, one.unlisted)]
    lines.append((1, f"{one.count} since {proposal.live[:7]}, which is live"))
    lines += [(2, file) for file in proposal.files]
    if more := proposal.beyond(len(proposal.files)):
        lines.append((2, f"and {more} more"))
    return [*lines, (1, one.compare)] if one.compare else lines


def override(
    app: AppName, reason: Reason, config: Config = None, json: Json = False, yes: Yes = False
) -> None:
    """Deploy despite the gates that hold it; the reason is recorded.

    It asks first if the version did not work where it was live before.
    """
    run(_override(app, reason, How(config, json, yes)))


async def _override(name: str, reason: str, how: How) -> None:
    from bridge.core.holds import warnings_in

    async with desk_of(how.config) as desk:
        app = await live_app(desk.stores.journal, name)
        waiting = await desk.commands.held(app)
        if warnings := warnings_in(waiting.holds):
            for one in warnings:
                hint(clean(f"warning: {one}"), "yellow")
            agree(f"Deploy {app.label} all the same?", how)
        await desk.commands.lift(desk.actor, waiting, reason)
    if how.json:
        say_json(held_form(waiting))
    else:
        for hold in waiting.holds:
            say(clean(f"lifted: {hold.says}"))
