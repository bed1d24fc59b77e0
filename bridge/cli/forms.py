"""The machine forms, as `--json` prints them. Pure; the names are stable."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.cli.show import NARROW, clean, clock, console, stacked, table


def finding_words(finding: "Mapping[str, Any]") -> str:
    """Return a finding about a watch path, as a sentence and its remedy."""
    from bridge.core.matching.lint import said_of

    return f"{said_of(finding['pattern'], finding['sentence'])} {finding['remedy']}"


def owed_words(owed: "Mapping[str, float]") -> list[str]:
    """Return for each unreadable backend what is still to be decided."""
    return [
        f"{name} could not be read since {clock(since)}: for apps that are new there,"
        " later pushes are decided once it can be"
        for name, since in sorted(owed.items())
    ]


# ── Decisions on a terminal: verdict, app, reason, evidence, and the nearest miss ─────────────────

MOST_MISSES = 3
"""The most remarks to show on one app's watch paths; --json shows all."""

Form = Mapping[str, Any]


def say_decisions(forms: Sequence[Form]) -> None:
    """Show decisions, given in machine form, in the terminal's width."""
    from rich.text import Text

    heads = [["deploy" if one["deploy"] else "skip", one["app"], one["reason"]] for one in forms]
    notes = [
        [Text(f"↳ {clean(words)}", "yellow") for words in misses_of(one) + held_notes(one)]
        for one in forms
    ]
    screen = console()
    if screen.width < NARROW:
        words = [[one["evidence"], *those] for one, those in zip(forms, notes, strict=True)]
        screen.print(stacked(heads, words, indent=len("deploy   ")))
        return
    rows: list[list[str | Text]] = []
    for one, head, those in zip(forms, heads, notes, strict=True):
        rows.append([*head, one["evidence"]])
        rows += [["", "", "", miss] for miss in those]
    screen.print(table(("", "app", "reason", "*evidence"), rows))


def held_notes(form: Form) -> list[str]:
    """Return the same as notes under a decision."""
    return [f"would be held by {words}" for words in held_words(form)]


def held_words(form: Form) -> list[str]:
    """Return what would hold a deployment now, one reason each."""
    return [
        f"{one['gate']}: {one['reason']}" + (f" (until {one['until']})" if one["until"] else "")
        for one in form.get("holds") or ()
    ]


def misses_of(form: Form) -> list[str]:
    """Return the faults of watch paths that match nothing, else the nearest miss."""
    if form["reason"] not in ("no_path_hit", "watch_paths_broken"):
        return []
    wrong = [finding_words(one) for one in form.get("findings") or () if one["level"] != "note"]
    miss = form.get("near_miss")
    return wrong[:MOST_MISSES] or ([miss["sentence"]] if miss else [])
