"""Decisions on a terminal: verdict, app, reason, evidence, and what came nearest."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.cli.cleaning import clean
from bridge.cli.forms import finding_words
from bridge.cli.show import NARROW, console, stacked, table

MOST_MISSES = 3
"""So many remarks on one app's watch paths are shown; all of them with --json."""

Form = Mapping[str, Any]


def say_decisions(forms: Sequence[Form]) -> None:
    """Show decisions in their machine form, as wide as the terminal is."""
    from rich.text import Text

    heads = [["deploy" if one["deploy"] else "skip", one["app"], one["reason"]] for one in forms]
    notes = [[Text(f"↳ {clean(miss)}", "yellow") for miss in misses_of(one)] for one in forms]
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


def misses_of(form: Form) -> list[str]:
    """What is wrong with watch paths that let nothing through, else what came nearest."""
    if form["reason"] not in ("no_path_hit", "watch_paths_broken"):
        return []
    wrong = [finding_words(one) for one in form.get("findings") or () if one["level"] != "note"]
    miss = form.get("near_miss")
    return wrong[:MOST_MISSES] or ([miss["sentence"]] if miss else [])
