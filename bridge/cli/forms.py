"""The machine forms, as `--json` prints them. Pure; the names are stable."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.cli.show import NARROW, clean, clock, console, iso, stacked, table
from bridge.core.log_text import short_branch
from bridge.views.decisions import decision_form
from bridge.views.deployment_lists import became

if TYPE_CHECKING:
    from bridge.core.lifecycle import Deployment
    from bridge.pipeline.deciding.arrivals import Arrived
    from bridge.ports.outcomes import About


def arrived_form(one: "Arrived") -> dict[str, Any]:
    """Return a delivery with its subject, its decisions and its outcome."""
    delivery, about = one.delivery, one.about
    ref = about.ref if about else None
    branch = ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None
    form: dict[str, Any] = {
        "id": delivery.id,
        "seq": delivery.seq,
        "host": delivery.host,
        "event": delivery.event,
        "state": str(delivery.state),
        "received_at": iso(delivery.received_at),
        "repository": about and about.repository,
        "ref": ref,
        "branch": branch,
        "commit": about and about.commit,
        "author": (about and about.author) or None,
        "attempts": delivery.attempts,
        "error": delivery.error,
        "decisions": [
            decision_form(decision) | {"deployment": _brief(one.deployments.get(decision.app_id))}
            for decision in one.decisions
        ],
    }
    return form | {"owed": sorted(one.owed)} if one.owed else form


def _brief(deployment: "Deployment | None") -> dict[str, Any] | None:
    """Return a deployment's state; `deployments` has the rest."""
    if deployment is None:
        return None
    from bridge.core.health.fate import as_told

    note = as_told(deployment)
    return {"id": deployment.id, "state": str(deployment.state), "note": note}


def finding_words(finding: "Mapping[str, Any]") -> str:
    """Return a finding about a watch path, as a sentence and its remedy."""
    from bridge.core.matching.lint import said_of

    return f"{said_of(finding['pattern'], finding['sentence'])} {finding['remedy']}"


# ── The outcome of decisions and deliveries, in words ─────────────────────────────────────────────

ASKED_FOR = frozenset({"cancel_asked", "cancel_one_asked", "configure_asked"})
"""Reasons of people's other requests; their evidence names the requester."""


def owed_words(owed: "Mapping[str, float]") -> list[str]:
    """Return for each unreadable backend what is still to be decided."""
    return [
        f"{name} could not be read since {clock(since)}: for apps that are new there,"
        " later pushes are decided once it can be"
        for name, since in sorted(owed.items())
    ]


class OutcomeLine(NamedTuple):
    """A part of a delivery's outcome; `style` is a key of `STYLES`, or a style of rich."""

    words: str
    style: str = ""


def outcomes_of(one: "Arrived", *, short: bool = False) -> list[OutcomeLine]:
    """Return a delivery's outcome: a few words for each app that deploys, and for all others.

    Args:
        short: shorten long branches in the middle.
    """
    if one.delivery.error:
        return [OutcomeLine(one.delivery.error, "red" if one.delivery.state == "failed" else "dim")]
    lines = []
    for decision in one.decisions:
        if decision.deploy:
            deployment = one.deployments.get(decision.app_id)
            ended = f" {became(deployment, short=short)}" if deployment else ""
            words = f"deploys {decision.app} ({decision.reason}){ended}"
            lines.append(OutcomeLine(words, deployment.state if deployment else ""))
        elif decision.reason in ASKED_FOR:
            lines.append(OutcomeLine(f"{decision.app}: {decision.evidence}"))
    skipped = [one for one in one.decisions if not one.deploy and one.reason not in ASKED_FOR]
    if len(skipped) == 1:
        lines.append(OutcomeLine(f"skips {skipped[0].app} ({skipped[0].reason})", "skip"))
    elif skipped:
        lines.append(OutcomeLine(f"skips {len(skipped)} apps", "skip"))
    return lines + [OutcomeLine(words) for words in owed_words(one.owed)]


def about_words(about: "About | None", *, short: bool = False) -> str:
    """E.g. `my-org/mono main@13dfa1f by Ada`; "" if nothing is known.

    Args:
        short: shorten a long branch in the middle.
    """
    if about is None:
        return ""
    ref = about.ref.removeprefix("refs/heads/").removeprefix("refs/")
    ref = short_branch(ref) if short else ref
    by = f"by {about.author}" if about.author else ""
    what = f"{ref}@{about.commit[:7]}" if about.commit.strip("0") else f"{ref} deleted"
    return " ".join(one for one in (about.repository, what, by) if one)


def times(count: int) -> str:
    """E.g. `once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"


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
