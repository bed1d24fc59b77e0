"""Changing how an app is configured: show the difference, ask, write, tell."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.reaching import Reach, person, reached
from bridge.cli.show import clean, console, hint, on_terminal, say, say_json, say_table, table
from bridge.cli.using import run, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.text import Text

    from bridge.core.apps import App
    from bridge.core.configuration.merge import Wanted
    from bridge.core.configuration.plan import Plan
    from bridge.pipeline.configure import Configurer

    Planned = Callable[[Configurer, App], Awaitable[Plan]]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; scripts need it.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show secret values as they are.")]

CUT_OFF = "nothing was changed"


@dataclass(frozen=True, slots=True)
class How:
    """How a command was called."""

    config: Path | None
    json: bool = False
    yes: bool = False


def change(name: str, wanted: "Wanted", how: How) -> None:
    """Change an app, once its difference was shown and agreed to."""
    run(_change(name, lambda configurer, app: configurer.plan(app, wanted), how))


def undo(name: str, how: How) -> None:
    """Undo an app's newest change, once its difference was shown and agreed to."""
    run(_change(name, lambda configurer, app: configurer.plan_undo(app), how))


async def _change(name: str, planned: "Planned", how: How) -> None:
    from bridge.core.configuration.difference import lines_of
    from bridge.core.configuration.plan import NotKept, Overtaken

    async with reached(settings_of(how.config), name) as reach:
        app = reach.app
        configurer = reach.configurer
        try:
            plan = await planned(configurer, app)
            _tell(plan, how)
            if plan.empty:
                return
            agree(f"{plan.what} of {app.label}?", how)
            await configurer.apply(plan, by=person())
        except (Overtaken, NotKept) as error:
            for line in lines_of(error.changed):
                hint(clean(line))
            raise
        if not how.json:
            say(f"changed {clean(app.label)}{_seen_when(reach)}")


def agree(question: str, how: How) -> None:
    """Go on only where somebody agrees; raises Rejected if nobody can be asked."""
    if how.yes:
        return
    if not sys.stdin.isatty():
        raise Rejected(
            f"{CUT_OFF}: this asks before it goes on, and nobody can answer here; give --yes to go"
            " on without being asked"
        )
    if not typer.confirm(clean(question), err=True):
        hint(CUT_OFF)
        raise typer.Exit(1)


def _tell(plan: "Plan", how: How) -> None:
    from bridge.core.configuration.difference import lines_of, text_of

    if how.json:
        say_json(_form(plan))
    elif plan.empty:
        say(f"{clean(plan.app.label)} is configured like that already")
    else:
        say(f"{plan.what} of {clean(plan.app.label)}:")
        say_table(
            ("field", "*before", "*after"),
            [(one.field, text_of(one.before), text_of(one.after)) for one in plan.difference],
            [f"  {line}" for line in lines_of(plan.difference)],
        )
    for finding in plan.findings:
        if finding.level == "note":  # true of most patterns; scripts get it
            continue
        hint(clean(f"watch path {finding.pattern!r}: {finding.sentence} {finding.remedy}"))
    for remark in plan.remarks:
        hint(clean(f"note: {remark}"))


def _form(plan: "Plan") -> dict[str, Any]:
    return {
        "app": plan.app.label,
        "app_id": plan.app.id,
        "action": plan.what,
        "difference": [
            {"field": one.field, "before": one.before, "after": one.after}
            for one in plan.difference
        ],
        "findings": [
            {
                "code": one.code,
                "level": one.level,
                "pattern": one.pattern,
                "sentence": one.sentence,
                "remedy": one.remedy,
            }
            for one in plan.findings
        ],
        "remarks": list(plan.remarks),
    }


def _seen_when(reach: Reach) -> str:
    from bridge.app.presence import is_running

    if not is_running(reach.settings):
        return ""
    return "; the running bridge decides by it from the next push on"


def say_fields(title: str, fields: dict[str, Any]) -> None:
    """Fields of an app that say something, one on a line.

    A terminal also shows whose they are, and the entries of a list one below the other.
    """
    from bridge.core.configuration.difference import text_of

    said = {name: value for name, value in fields.items() if value is not None}
    if not said:
        say(f"{clean(title)}: nothing is set")
    elif on_terminal():
        console().print(clean(title), style="bold")
        console().print(table(("field", "*value"), [[n, _listed(v)] for n, v in said.items()]))
    else:
        for name, value in said.items():
            typer.echo(clean(f"{name}: {text_of(value)}"))


def _listed(value: Any) -> "Text":
    from rich.text import Text

    from bridge.core.configuration.difference import text_of

    entries = value if isinstance(value, tuple) and value else (text_of(value),)
    return Text("\n".join(map(clean, entries)))
