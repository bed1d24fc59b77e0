"""`doctor`: check the whole set-up, and say what to do about what is wrong; `config check`."""

import logging
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge.backends import EMBEDDED
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.serve import hosts_of
from bridge.cli.show import clean, console, on_terminal, say_json
from bridge.core.errors import Rejected
from bridge.ports.checks import Finding, Level, in_order, summed

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.app.doctor.settings import Remark
    from bridge.settings import Settings

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
    found = in_order(run(_found(config)))
    wrong = [one for one in found if one.level is not Level.OK]
    if json:
        say_json({"ok": not wrong, "findings": [asdict(one) for one in found]})
    else:
        _say(found)
    if wrong:
        raise typer.Exit(FAILED)


async def _found(config: Path | None) -> list[Finding]:
    """Return all findings; show on a terminal what is being checked."""
    from bridge.app.doctor.collect import examine_all
    from bridge.app.doctor.settings import unreadable

    try:
        settings = _settings(config)
    except Rejected as error:
        return [unreadable(error)]
    shown = console(stderr=True).status("checks …", spinner="dots") if on_terminal() else None
    found: list[Finding] = []
    with shown or nullcontext():
        async for finding in examine_all(settings):
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
    typer.echo(summed(found))


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


# ── `config check`, which tells the same of the settings and of services ──────────────────────────


def checked(read: "Callable[[], Settings]") -> dict[str, Any]:
    """Return the machine form of a check of the settings alone.

    Args:
        read: returns the settings; raises Rejected if they are unreadable.
    """
    from bridge.app.doctor.settings import Remark, remarks
    from bridge.app.providers import places_of

    try:
        settings = read()
    except Rejected as error:
        return _form([Remark("error", str(error))], [], None)
    backend = ", ".join(places_of(settings)) or EMBEDDED
    return _form(list(remarks(settings)), hosts_of(settings), backend)


def _form(those: "Sequence[Remark]", hosts: list[str], backend: str | None) -> dict[str, Any]:
    return {
        "ok": all(one.level != "error" for one in those),
        "remarks": [{"level": one.level, "message": one.message} for one in those],
        "hosts": hosts,
        "backend": backend,
    }


def online(settings: "Settings") -> dict[str, Any]:
    """Return the machine form of what is found at all services, whole and by their kind."""
    from bridge.app.doctor.collect import examine_services, has_api

    tried, found = run(examine_services(settings))
    servers = settings.host_servers()
    asked = {name for name, one in servers.items() if has_api(one)}
    return {
        "online": [asdict(one) for one in tried],
        "online_hosts": [
            {"host": host, "url": servers[host].web_url, **_state(those)}
            for (host, place), those in _by_place(found, "host")
            if not place and host in asked
        ],
        "channels": [
            {"chat": chat, "channel": channel, **_state(those)}
            for (chat, channel), those in _by_place(found, "chat")
            if channel
        ],
        "webhooks": [
            {"host": host, "repository": place, **_state(those)}
            for (host, place), those in _by_place(found, "host")
            if place
        ],
        "findings": [asdict(one) for one in found],
    }


def _by_place(
    found: Iterable[Finding], kind: str
) -> Iterator[tuple[tuple[str, str], list[Finding]]]:
    """Yield the findings of each service of a kind, and of each place in it, e.g. a repository."""
    places: dict[tuple[str, str], list[Finding]] = {}
    for one in found:
        if one.check.startswith(f"{kind}."):
            service, _, place = one.about.partition(" ")
            places.setdefault((service, place), []).append(one)
    yield from places.items()


STATES: Mapping[str, str] = {
    "reach": "away",
    "time": "away",
    "unseen": "unseen",
    "missing": "unseen",
    "elsewhere": "unseen",
    "token": "refused",
    "repository": "refused",
    "channel": "refused",
    "member": "refused",
}
"""The state of a place by the last word of a check; other errors are "trouble"."""


def _state(found: Sequence[Finding]) -> dict[str, str]:
    wrong = [one for one in found if one.level is not Level.OK]
    others = {Level.ERROR: "trouble"}
    states = [
        STATES.get(one.check.rpartition(".")[2], others.get(one.level, "ok")) for one in wrong
    ]
    state = next((one for one in states if one != "ok"), "ok")
    return {"state": state, "why": "; ".join(one.words for one in wrong)}
