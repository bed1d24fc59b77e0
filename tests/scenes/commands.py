"""Write `docs/commands.md` from what operations declare: `python -m tests.scenes.commands`."""

from collections.abc import Mapping
from pathlib import Path

from typer.main import get_command

from bridge.cli.every import app
from bridge.cli.root import commands
from bridge.core.access import Right
from bridge.operations.base import Argument, Door, Operation
from bridge.operations.every import OPERATIONS
from bridge.operations.typed import usage

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

HEAD = (
    "# Commands\n\n"
    "What people can ask for. Each is declared once in `bridge/operations/`, and is the same at"
    " every door: on the command line, in chats that hear people, and in the console under *All"
    " commands*. Names of apps complete on the command line; a chat and the console offer a list."
    " `--json` prints what programs get. Everything that acts is in the audit log, whichever door"
    " it came by ([note 61](notes/0061-an-operation-is-declared-once.md)).\n\n"
    "Commands work beside a running bridge, on the same `BRIDGE_DATA`. If no bridge is running,"
    " requests are carried out when one starts. `APP` is `project/app`, an app's name, a prefix of"
    " one, or its id. Those that deploy show every step with `--follow`. `dokploy-bridge"
    " --install-completion` sets up completion in bash, zsh or fish.\n\n"
    "Exit codes: 0 success · 1 it could not be done · 2 wrong usage, settings or input · 3 a"
    " followed deployment did not succeed · 4 not found · 5 a followed deployment is held until a"
    " person opens a gate · 130 interrupted.\n\n"
    "`python -m tests.scenes.commands` writes this page.\n"
)


def commands_page(operations: Mapping[str, Operation]) -> str:
    """Return the whole page."""
    families: dict[str, list[Operation]] = {}
    for one in operations.values():
        families.setdefault(one.family, []).append(one)
    parts = [HEAD, _doors(operations)]
    for family, those in families.items():
        parts += [f"## {family}\n", *map(_about, those)]
    return "\n".join([*parts, _elsewhere(operations)])


def _elsewhere(operations: Mapping[str, Operation]) -> str:
    """Return what only the command line has: it reads files, sets up, or serves."""
    rows = ["## Only on the command line\n", "| command | |", "|---|---|"]
    for words, command in commands(get_command(app)):
        if words not in operations:
            says = (command.help or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            rows.append(f"| `{words}` | {says} |")
    return "\n".join([*rows, ""])


def _doors(operations: Mapping[str, Operation]) -> str:
    """Return which door has what; what a door lacks has its reason there."""
    rows = [f"| | right | {' | '.join(Door)} |", f"|---|---|{'---|' * len(Door)}"]
    for one in operations.values():
        has = " | ".join(f"no: {why}" if (why := one.not_at.get(at)) else "yes" for at in Door)
        rows.append(f"| [`{one.name}`](#{one.name.replace(' ', '-')}) | {_right(one)} | {has} |")
    return "\n".join([*rows, ""])


def _right(one: Operation) -> str:
    if one.right_varies:
        return f"`{one.needs}`, or a lesser one"
    return f"`{one.needs or Right.VIEW}`"


def _about(one: Operation) -> str:
    asks = "It shows what it would do, and asks, before anything happens." if one.plan else ""
    lines = [f"### {one.name}\n", f"{one.help}\n"]
    lines += [f"{asks}\n"] if asks else []
    if Door.CHATS not in one.not_at:
        lines.append(f"In a chat: `{usage(one)}`\n")
    if shown := [argument for argument in one.arguments if not argument.kind.hidden]:
        lines += ["| argument | on the command line | |", "|---|---|---|"]
        lines += [_row(argument) for argument in shown]
        lines.append("")
    if Door.COMMAND_LINE not in one.not_at:
        lines += ["```sh", *(f"dokploy-bridge {example}" for example in one.examples), "```\n"]
    return "\n".join(lines)


def _row(argument: Argument) -> str:
    kind = argument.kind
    option = f"`--{kind.option}`" if kind.option else f"`{kind.metavar}`"
    needed = "" if argument.required else " Optional." * (not kind.flag)
    needed += f" Only on the {kind.only}." if kind.only else ""
    return f"| {argument.name} | {option} | {kind.help}{needed} |"


if __name__ == "__main__":
    PAGE.write_text(commands_page(OPERATIONS))
