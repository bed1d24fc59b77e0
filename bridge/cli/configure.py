"""Change an app's configuration: read the options, show the difference, ask, write, report."""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import Reach, person, reached
from bridge.cli.context import Config, Json, ask_hidden, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import clean, console, hint, on_terminal, say, say_json, say_table, table
from bridge.core.configuration.fields import FIELDS, Field
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rich.text import Text

    from bridge.core.apps import App
    from bridge.core.configuration.merge import Wanted
    from bridge.core.configuration.plan import Plan
    from bridge.pipeline.deploying.configure import Configurer

    Planned = Callable[[Configurer, App], Awaitable[Plan]]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; scripts need it.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show secret values as they are.")]

_CREDENTIALS = re.compile(r"https?://[^/]*@|\w+://[^/@]*:[^/@]*@")

CUT_OFF = "nothing was changed"


@dataclass(frozen=True, slots=True)
class How:
    """The common options of a command."""

    config: Path | None
    json: bool = False
    yes: bool = False


# ── Commands whose options are fields ───────────────────────────────────────────────────────────


def option(name: str) -> Any:
    """Return the option of a field."""
    one = FIELDS[name]
    names = [f"--{word.replace('_', '-')}" for word in (one.short, one.name) if word]
    if one.type is bool:
        names = [f"{names[0]}/--no-{names[0].removeprefix('--')}"]
    panel = "When it deploys" if one.ruled else None
    return typer.Option(*names, help=one.help.replace("[", r"\["), rich_help_panel=panel)


def with_options(
    fields: Iterable[Field], set_: Callable[..., None], **others: Any
) -> Callable[..., None]:
    """Return a command with an option for each field; prompting options come last.

    Args:
        set_: receives the app's name, the given fields, the common options, and the others by
            name.
        others: options that are not fields, with their annotations.
    """
    shown = sorted(fields, key=lambda one: one.secret)

    def command(
        app: AppName, config: Config = None, json: Json = False, yes: Yes = False, **given: Any
    ) -> None:
        more = {name: given[name] for name in others}
        set_(app, _given(shown, given), How(config, json, yes), **more)

    first, *last, _ = inspect.signature(command).parameters.values()
    options = [one for field in shown for one in _options(field)]
    options += [_parameter(name, its, None) for name, its in others.items()]
    command.__dict__["__signature__"] = inspect.Signature(
        [one.replace(kind=one.KEYWORD_ONLY) for one in (first, *options, *last)]
    )
    return command


def _options(one: Field) -> Iterator[inspect.Parameter]:
    """Yield the options of a field: one for its value, one that prompts for it, or both."""
    if one.secret:
        yield _flag(one.name, one.help)
    else:
        type_: Any = list[str] if one.type is tuple else one.type
        yield _parameter(one.name, Annotated[type_ | None, option(one.name)], None)
    if one.asks:
        yield _flag(f"{one.name}_stdin", one.asks)


def _flag(name: str, help_: str) -> inspect.Parameter:
    flag = typer.Option(f"--{name.replace('_', '-')}", help=help_)
    return _parameter(name, Annotated[bool, flag], default=False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _given(fields: Iterable[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields."""
    found: dict[str, Any] = {}
    for one in fields:
        value = given[one.name]
        if given.get(f"{one.name}_stdin") or (one.secret and value):
            found[one.name] = _asked(one)
        elif not one.secret and value is not None:
            found[one.name] = _typed(one, value)
    return found


def _asked(one: Field) -> Any:
    """Prompt for a field's value, hidden; return a secret sealed."""
    value = ask_hidden([one.name])[one.name]
    if not one.secret:
        return value or None
    from pydantic import SecretStr

    return SecretStr(value)


def _typed(one: Field, value: Any) -> Any:
    """Return a typed value; None for an empty one, which removes the field."""
    if one.type is tuple:
        return tuple(part for part in value if part) or None
    if one.asks and _CREDENTIALS.match(value):
        raise Rejected(
            "an address with a password or a token is a secret, and a command line is no place"
            f" for it: give it with --{one.name}-stdin"
        )
    return None if value == "" else value


# ── Changing: show the difference, ask, write, report ─────────────────────────────────────────────


def change(name: str, wanted: "Wanted", how: How) -> None:
    """Change an app, after showing the difference and getting consent."""
    run(_change(name, lambda configurer, app: configurer.plan(app, wanted), how))


def undo(name: str, how: How) -> None:
    """Undo an app's newest change, after showing the difference and getting consent."""
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
    """Ask for consent; raise Rejected if nobody can be asked."""
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
        if finding.level == "note":  # true of most patterns, so only scripts get it
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
    from bridge.app.data_folder import is_running

    if not is_running(reach.settings):
        return ""
    return "; the running bridge applies it from the next push on"


def say_fields(title: str, fields: dict[str, Any]) -> None:
    """Print an app's set fields, one per line.

    A terminal also shows the app's name, and each entry of a list on its own line.
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
