"""Write `docs/commands.md` from what operations declare: `python -m tests.scenes.commands`.

Each thing stands once: what several commands take is explained where the first of them, their
group, or the head of the page has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from typer.main import get_command

from bridge.cli.every import app
from bridge.cli.operations import OWN
from bridge.cli.root import commands
from bridge.core.access import Right
from bridge.operations.base import GROUPS, Argument, Door, Operation
from bridge.operations.every import OPERATIONS
from bridge.operations.typed import usage

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

HEAD = """\
# Commands

What people can ask for, the same at every door: on the command line, in chats that hear people, and
 in the console under *All commands*; a door that lacks a command is named there. Everything that
 acts is in the audit log, whichever door it came by
 ([note 61](notes/0061-an-operation-is-declared-once.md)).

Commands work beside a running bridge, on the same `BRIDGE_DATA`. If no bridge is running, requests
 are carried out when one starts.

**Right**: `view`, unless another is named. **Asks first**: it shows what it would do, and asks,
 before anything happens; on the command line `--plan` only shows it, and `--yes` (`-y`) does not
 ask, as scripts need.

Exit codes: 0 success · 1 it could not be done · 2 wrong usage, settings or input · 3 a followed
 deployment did not succeed · 4 not found · 5 a followed deployment is held until a person opens a
 gate · 130 interrupted.

`python -m tests.scenes.commands` writes this page.

## Arguments

Options may be left out, unless *required*; so may what stands in brackets. Chats take the same
 words, unless others are shown: names first, a reason last. The beginning of an app's name will do;
 names complete on the command line, once `dokploy-bridge --install-completion` has set that up in
 bash, zsh or fish, and a chat and the console offer a list. Every command has

- `--config, -c`: The settings file, by default `bridge.yaml`, if it exists.
- `--json`: Print JSON, for scripts.
- `--help, -h`: Show what it takes.

and these mean the same wherever a command takes them:
"""
FOLLOW = (
    "- `--follow, -f`, on the command line: Show its steps until it ends, or a person has to open a"
    " gate."
)

OFTEN = 3
"""What as many commands take stands in the head."""

GROUPED = ("provider set", "hooks")
"""Groups of commands that take much the same, which stands once, before them."""

Said = tuple[str, str]
"""How an argument is written, and what is said of it."""

Takers = Mapping[Said, Sequence[Operation]]
"""Which operations take an argument."""


def commands_page(operations: Mapping[str, Operation]) -> str:
    """Return the whole page."""
    takers: dict[Said, list[Operation]] = {}
    families: dict[str, list[Operation]] = {}
    for one in operations.values():
        families.setdefault(one.family, []).append(one)
        for said in _saids(one):
            takers.setdefault(said, []).append(one)
    parts = [HEAD.replace("\n ", " ")]
    often = [_line_of_several(said, takers) for said in takers if _often(said, takers)]
    parts.append("\n".join([*often, f"{FOLLOW}\n"]))
    for family, those in families.items():
        parts.append(f"## {family}\n")
        for group, some in groupby(those, _group):
            ones = list(some)
            parts += [_of_group(group, ones, takers)] if group else []
            parts += [_about(one, takers) for one in ones]
    return "\n".join([*parts, _elsewhere(operations)])


def _elsewhere(operations: Mapping[str, Operation]) -> str:
    """Return what only the command line has: it reads files, sets up, or serves."""
    rows = ["## Only on the command line\n"]
    for words, command in commands(get_command(app)):
        if words not in operations:
            says = (command.help or "").partition("\n\n")[0].replace("\n", " ")
            rows.append(f"- `{words}`: {says}")
    return "\n".join([*rows, ""])


# ── what is shared ────────────────────────────────────────────────────────────────────────────────


def _group(one: Operation) -> str:
    return next((group for group in GROUPED if one.name.startswith(f"{group} ")), "")


def _often(said: Said, takers: Takers) -> bool:
    """Return whether the head explains an argument: many take it, and not only those of a group."""
    return len(takers[said]) >= OFTEN and not _in_group(said, takers)


def _in_group(said: Said, takers: Takers) -> bool:
    """Return whether a group explains an argument: only several of its commands take it."""
    groups = {_group(one) for one in takers[said]}
    return len(takers[said]) > 1 and len(groups) == 1 and groups != {""}


def _line_of_several(said: Said, takers: Takers) -> str:
    """Return what is said of an argument, with what is typed for it in chats."""
    one = takers[said][0]
    argument = next(argument for argument in _shown(one) if _said(argument) == said)
    if (in_chats := _in_chats(argument)) and Door.CHATS not in one.not_at:
        return f"- `{said[0]}`, in chats `{in_chats}`: {said[1]}"
    return _line(said)


def _in_chats(argument: Argument) -> str:
    """Return what is typed in chats for what is an option, but no flag, on the command line."""
    kind = argument.kind
    if not kind.option or kind.flag or kind.only is not None:
        return ""
    return kind.metavar if argument.required else kind.example or kind.metavar


def _of_group(group: str, ones: Sequence[Operation], takers: Takers) -> str:
    """Return what the commands of a group share."""
    lines = [f"### {group} …\n", f"{GROUPS[group]}\n"]
    lines += [f"{' '.join(same)}\n"] if (same := _same_notes(group)) else []
    by_takers: dict[tuple[str, ...], list[str]] = {}
    for said in takers:
        if _in_group(said, takers) and takers[said][0] in ones:
            names = tuple(one.name for one in takers[said])
            by_takers.setdefault(names, []).append(_line_of_several(said, takers))
    for names, those in by_takers.items():
        if len(names) == len(ones):
            who = "All take"
        else:
            who = f"{', '.join(f'`{name.removeprefix(group).strip()}`' for name in names)} take"
        lines += [f"{who}\n", *those, ""]
    return "\n".join(lines)


# ── one command ───────────────────────────────────────────────────────────────────────────────────


def _about(one: Operation, takers: Takers) -> str:
    same = _same_notes(_group(one))
    told = [*_typed(one, takers), *(note for note in _notes(one) if note not in same)]
    lines = [f"### {one.name}\n", f"{one.help}\n"]
    lines += [f"{' '.join(told)}\n"] if told else []
    if own := [*_own(one, takers)]:
        lines += [*own, ""]
    if examples := _examples(one, takers):
        lines += ["```sh", *(f"dokploy-bridge {example}" for example in examples), "```\n"]
    return "\n".join(lines)


def _typed(one: Operation, takers: Takers) -> list[str]:
    """Return how a command is typed, unless its name is all; in chats, if options differ there."""
    words, in_chats, of_cli = [one.name], usage(one), Door.COMMAND_LINE not in one.not_at
    differs = not of_cli
    for argument in _shown(one):
        kind, said = argument.kind, _said(argument)
        if not kind.option:
            metavar = kind.metavar + "…" * kind.many
            words.append(metavar if argument.required else f"[{metavar}]")
        elif argument.required or _often(said, takers):
            words.append(f"--{kind.option}" if argument.required else f"[--{kind.option}]")
        is_own = not (_often(said, takers) or _in_group(said, takers))
        differs = differs or (is_own and bool(_in_chats(argument)))
    words += ["[--follow]"] if one.kept else []
    typed = [f"`{' '.join(words)}`"] if of_cli and len(words) > 1 else []
    if Door.CHATS not in one.not_at and differs:
        typed.append(f"{'in' if typed else 'In'} chats `{in_chats}`")
    return [f"{', '.join(typed)}."] if typed else []


def _examples(one: Operation, takers: Takers) -> list[str]:
    """Return the examples that neither another one nor what the head explains says already."""
    names = [argument for argument in _shown(one) if not argument.kind.option]
    known = all(_often(_said(argument), takers) for argument in names[:1])
    before = _examples_before(one)
    found = []
    for example in one.examples:
        words = example.removeprefix(one.name)
        is_name = len(words.split()) == 1 and known and not words.startswith(" -")
        is_said = words in before or any(f"{example} " in other for other in one.examples)
        if words and not is_name and not is_said:
            found.append(example)
    return found


def _examples_before(one: Operation) -> set[str]:
    """Return the examples of the commands of its group before it, without their names."""
    group = _group(one)
    those = [other for other in OPERATIONS.values() if group and _group(other) == group]
    before = takewhile(lambda other: other.name != one.name, those)
    return {example.removeprefix(other.name) for other in before for example in other.examples}


def _notes(one: Operation) -> list[str]:
    """Return the right, if it is not to view, whether it asks, and the doors that lack it."""
    least = ", or a lesser one" if one.right_varies else ""
    notes = [] if one.needs in (None, Right.VIEW) else [f"Right: `{one.needs}`{least}."]
    notes += ["Asks first."] if one.plan is not None else []
    return notes + [f"Not {_at(door)}: {why}." for door, why in one.not_at.items()]


def _at(door: Door) -> str:
    if door is Door.CHATS:
        return f"in {door}"
    return f"on the {door}" if door is Door.COMMAND_LINE else f"in the {door}"


def _same_notes(group: str) -> list[str]:
    """Return the notes that all commands of a group have."""
    notes = [_notes(one) for one in OPERATIONS.values() if _group(one) == group]
    return [note for note in notes[0] if all(note in those for those in notes)] if group else []


def _own(one: Operation, takers: Takers) -> Iterator[str]:
    """Yield what is to know of the arguments that neither the head nor the group explains."""
    before: dict[str, list[str]] = {}
    for said in _saids(one):
        if _often(said, takers) or _in_group(said, takers):
            continue
        if (first := takers[said][0]) is one:
            yield _line(said)
        else:
            before.setdefault(first.name, []).append(f"`{said[0]}`")
    for option in _of_cli(one):
        yield _line((", ".join(option.opts), option.help or ""))
    for name, those in before.items():
        yield f"- {', '.join(those)}: as at [`{name}`](#{name.replace(' ', '-')})."


# ── one argument ──────────────────────────────────────────────────────────────────────────────────


def _shown(one: Operation) -> list[Argument]:
    return [argument for argument in one.arguments if not argument.kind.hidden]


def _saids(one: Operation) -> Iterator[Said]:
    """Yield what is said of the arguments of an operation."""
    for argument in _shown(one):
        yield _said(argument)
        if (sets := argument.kind.sets) is not None and sets.asks:
            yield f"--{sets.name.replace('_', '-')}-stdin", sets.asks


def _said(argument: Argument) -> Said:
    kind = argument.kind
    either = "[no-]" if kind.sets is not None and kind.sets.type is bool else ""
    names = [f"--{either}{name}" for name in (kind.option, kind.also) if name]
    names += [f"-{kind.short}"] if kind.short else []
    required = " Required." if kind.option and argument.required else ""
    only = f" Only on the {kind.only}." if kind.only else ""
    return ", ".join(names) or kind.metavar, f"{kind.help}{required}{only}"


def _of_cli(one: Operation) -> Iterator[Any]:
    """Yield the options that a command has only on the command line."""
    own = OWN.get(one.name, {})
    if own:
        command = dict(commands(get_command(app)))[one.name]
        yield from (parameter for parameter in command.params if parameter.name in own)


def _line(said: Said) -> str:
    return f"- `{said[0]}`: {said[1]}"


if __name__ == "__main__":
    PAGE.write_text(commands_page(OPERATIONS))
