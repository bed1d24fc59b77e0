"""`doctor`: check the whole set-up, and say what to do about what is wrong."""

import logging
import os
import textwrap
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.show import clean, console, on_terminal, say_json
from bridge.cli.using import Config, Json, run, settings_of
from bridge.core.errors import Rejected
from bridge.ports.checks import Finding, Level

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.settings import Settings

ORDER = ("settings", "bridge", "app", "backend", "host", "chat")
"""How findings are sorted: by the beginning of their check's name."""

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}

FAILED = 1
"""The exit code if anything was found."""


def doctor(config: Config = None, json: Json = False) -> None:
    """Check the whole set-up: backends, Git hosts, webhooks, chats, and the bridge itself.

    Nothing is changed anywhere, and it takes at most 15 seconds, with and without a running
    bridge. Each line is ok, warning or error, with the remedy beneath. Exits with 1 if there are
    warnings or errors.
    """
    logging.getLogger("bridge").setLevel(logging.CRITICAL)  # the findings say it all
    found = sorted(run(_found(config)), key=_place)
    wrong = [one for one in found if one.level is not Level.OK]
    if json:
        say_json({"ok": not wrong, "findings": [_form(one) for one in found]})
    else:
        _say(found)
    if wrong:
        raise typer.Exit(FAILED)


async def _found(config: Path | None) -> list[Finding]:
    """Return all findings; show on a terminal what is being checked."""
    from bridge.app.doctor.collect import examine_all

    try:
        settings = _settings(config)
    except Rejected as error:
        remedy = "correct it; `dokploy-bridge config check` checks the settings alone"
        return [Finding(Level.ERROR, "settings", "the settings", str(error), remedy)]
    shown = console(stderr=True).status("checks …", spinner="dots") if on_terminal() else None
    found: list[Finding] = []
    with shown or nullcontext():
        async for finding in examine_all(settings, _of_settings(settings)):
            found.append(finding)
            if shown is not None:
                shown.update(f"{len(found)} checked, last {clean(finding.about)} …")
    return found


def _settings(config: Path | None) -> "Settings":
    """Return the settings; without the stored ones if the database is away: that is found again."""
    from bridge.app.stored_settings import Unreadable
    from bridge.settings import read_settings

    try:
        return settings_of(config)
    except Unreadable:
        return read_settings(config, os.environ)


def _of_settings(settings: "Settings") -> list[Finding]:
    """Return what `config check` finds."""
    from bridge.cli.checking import checked

    remarks = [one for one in checked(lambda: settings)["remarks"] if one["level"] != "note"]
    if not remarks:
        return [Finding(Level.OK, "settings", "the settings", "they fit together")]
    return [_of_remark(one["level"], one["message"]) for one in remarks]


def _of_remark(level: str, message: str) -> Finding:
    """Return a remark about the settings; its message ends with the remedy."""
    says, _, remedy = message.partition("; ")
    return Finding(Level(level), "settings", "the settings", says, remedy)


def _place(one: Finding) -> tuple[int, str, str, str]:
    kind = one.check.partition(".")[0]
    return ORDER.index(kind), one.about, one.check, one.says


def _form(one: Finding) -> dict[str, Any]:
    """Return a finding in machine form; the names are stable."""
    return {
        "level": str(one.level),
        "check": one.check,
        "about": one.about,
        "says": one.says,
        "remedy": one.remedy,
    }


# ── For people ──────────────────────────────────────────────────────────────────────────────────

WIDEST = 100
"""Columns beyond which no line goes; sentences are hard to read when longer."""


def _say(found: Sequence[Finding]) -> None:
    """Print a line for each finding with its remedy beneath, then how many there are."""
    screen = console() if on_terminal() else None
    for one in found:
        head = f"{clean(one.about)}: {clean(one.says)}"
        lines = [f"{head} [{one.check}]", *([f"→ {clean(one.remedy)}"] if one.remedy else [])]
        if screen is None:
            typer.echo(f"{one.level:<8} {lines[0]}")
            for line in lines[1:]:
                typer.echo(f"{'':<8} {line}")
        else:
            _show(screen, one.level, lines)
    typer.echo(_sum(found))


def _show(screen: "Console", level: Level, lines: Sequence[str]) -> None:
    """Print a finding on a terminal, its lines wrapped beside its level."""
    from rich.text import Text

    indent = " " * 9
    width = min(screen.width, WIDEST) - len(indent)
    for at, line in enumerate(lines):
        for place, part in enumerate(textwrap.wrap(line, width, break_on_hyphens=False)):
            first = at == place == 0
            start = Text(f"{level:<8} ", STYLES[level]) if first else Text(indent)
            screen.print(start.append(part, "" if at == 0 else "dim"), soft_wrap=True)


def _sum(found: Sequence[Finding]) -> str:
    def count(level: Level) -> int:
        return sum(one.level is level for one in found)

    def many(number: int, what: str) -> str:
        return f"{number} {what}" if number == 1 else f"{number} {what}s"

    wrong = f"{many(count(Level.ERROR), 'error')}, {many(count(Level.WARNING), 'warning')}"
    return f"{wrong}, {count(Level.OK)} ok"
