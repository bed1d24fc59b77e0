"""The machine forms, as `--json` prints them. Pure; the names are stable."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.cli.show import NARROW, clean, clock, console, iso, short_branch, stacked, table

if TYPE_CHECKING:
    from bridge.core.apps import App, Rules
    from bridge.core.decision import Decision
    from bridge.core.health.fate import Fate
    from bridge.core.health.serving import Serving
    from bridge.core.lifecycle import Change, Deployment
    from bridge.pipeline.deciding.arrivals import Arrived
    from bridge.ports.feedback import Pending
    from bridge.ports.outcomes import About, Audited


def decision_form(decision: "Decision") -> dict[str, Any]:
    """Return a decision for one app."""
    return {
        "app": decision.app,
        "app_id": decision.app_id,
        "deploy": decision.deploy,
        "reason": str(decision.reason),
        "evidence": decision.evidence,
    }


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


def deployment_form(deployment: "Deployment", fate: "Fate | None" = None) -> dict[str, Any]:
    """Return a deployment with its progress so far; its note as `note_now` has it."""
    from bridge.core.health.fate import note_now

    return {
        "id": deployment.id,
        "app": deployment.app,
        "app_id": deployment.app_id,
        "action": str(deployment.action),
        "state": str(deployment.state),
        "trigger": deployment.trigger,
        "ref": deployment.ref,
        "commit": deployment.commit,
        "deployed_commit": deployment.deployed_commit,
        "image": deployment.image,
        "delivery": deployment.delivery,
        "created_at": iso(deployment.created_at),
        "asked_at": iso(deployment.asked_at),
        "started_at": iso(deployment.started_at),
        "live_at": iso(deployment.live_at),
        "finished_at": iso(deployment.finished_at),
        "note": note_now(deployment, fate),
        "superseded_by": deployment.superseded_by,
        "backend_id": deployment.backend_id,
    }


def ended_form(deployment: "Deployment", fate: "Fate | None" = None) -> dict[str, Any]:
    """Return a single deployment, with the lines that show why it failed or is unhealthy."""
    from bridge.core.masking import redact

    tail = redact(deployment.log_tail or "")
    return deployment_form(deployment, fate) | {"log_tail": tail.split("\n") if tail else []}


def fate_form(fate: "Fate | None") -> dict[str, Any] | None:
    """Return what has become of a deployment that went live; None of any other."""
    if fate is None:
        return None
    return {
        "now": str(fate.now),
        "until": iso(fate.until),
        "by": fate.by and fate.by.id,
        "says": fate.says,
    }


def change_form(change: "Change") -> dict[str, Any]:
    """Return one line of a deployment's history."""
    from bridge.core.health.fate import as_told

    return {"at": iso(change.at), "state": str(change.state), "note": as_told(change)}


def standing(pending: "Pending") -> str:
    """Return the state of a subscription, in a word."""
    if pending.parked:
        return "parked"
    if pending.error is not None:
        return "failing"
    return "shown" if pending.due_at is None else "due"


def subscription_form(pending: "Pending") -> dict[str, Any]:
    """Return a subscription, and whether it is up to date."""
    subscription = pending.subscription
    return {
        "id": subscription.id,
        "kind": subscription.kind,
        "lane": subscription.lane,
        "place": dict(subscription.place),
        "link": pending.cursor.get("link"),
        "follows": list(subscription.follows),
        "state": standing(pending),
        "due_at": iso(pending.due_at),
        "attempts": pending.attempts,
        "failing_since": iso(pending.failing_since),
        "error": pending.error,
    }


def audited_form(change: "Audited") -> dict[str, Any]:
    """Return an audit entry."""
    return {
        "number": change.number,
        "at": iso(change.at),
        "by": str(change.by),
        "app": change.app,
        "app_id": change.app_id,
        "action": change.what,
        "difference": [
            {"field": one.field, "before": one.before, "after": one.after}
            for one in change.difference
        ],
        "outcome": change.outcome,
        "undoes": change.undoes,
    }


def app_form(
    app: "App", last: "Deployment | None", live: "Serving | None" = None
) -> dict[str, Any]:
    """Return an app, what deploys it, its newest deployment, and what it serves."""
    source = app.source
    return {
        "id": app.id,
        "app": app.label,
        "backend": app.backend,
        "kind": str(app.kind),
        "source": source
        and {
            "type": str(source.type),
            "repository": source.repository,
            "repository_id": source.repository_id,
            "url": source.url,
            "image": source.image,
        },
        **waits_form(app),
        "auto_deploy": app.auto_deploy,
        "page": app.page,
        "url": app.url,
        "last_deployment": last and deployment_form(last),
        "live": live and live_form(live),
        "serving": live and serving_form(live),
    }


def serving_form(live: "Serving") -> dict[str, Any]:
    """Return what an app serves, and what vouches for it; None stands for what is not known."""
    from bridge.core.health.serving import By

    seen = live.seen
    elsewhere = seen.place if seen is not None and seen.by is By.BACKEND else None
    return {
        "version": live.version,
        "since": iso(live.since),
        "by": str(live.by) or elsewhere,
        "evidence": live.evidence and str(live.evidence),
        "verdict": str(live.works),
    }


def live_form(live: "Serving") -> dict[str, Any]:
    """Return what an app serves, in more detail; None stands for what is not known."""
    last = live.last_known
    return {
        "known": live.known,
        "commit": live.commit,
        "image": live.image,
        "since": iso(live.since),
        "by": (str(live.by) or None) if live.known else None,
        "deployment": live.ours.id if live.ours else None,
        "health": str(live.works),
        "rolled_back": live.rolled_back,
        "rolled_back_from": live.rolled_back_from,
        "behind": live.behind
        and {"pushes": live.behind.pushes, "concerning": live.behind.concerning},
        "last_known": None if live.known or last is None else last.id,
    }


def waits_form(app: "App") -> dict[str, Any]:
    """Return what deploys an app, with the part that comes from our own rules."""
    return {
        "branch": app.branch,
        "trigger": str(app.waits_for),
        "watch_paths": list(app.watched or ()),
        "rules": said(app.rules),
    }


def said(rules: "Rules") -> dict[str, Any]:
    """Return our own rules for an app as JSON, without unset fields."""
    found = {name: _plain(value) for name, value in asdict(rules).items() if value is not None}
    return found | ({"previews": _without_values(found["previews"])} if rules.previews else {})


def written(rules: "Rules") -> dict[str, Any]:
    """Return our own rules for an app as people write them, without defaults."""
    found = {one.name: getattr(rules, one.name) for one in fields(rules)}
    return {name: _as_written(value) for name, value in found.items() if value is not None}


def _as_written(value: Any) -> Any:
    from bridge.core.policies import WELL, VerifyPolicy, statuses_text

    if not is_dataclass(value):
        return _plain(value)
    own = [one for one in fields(value) if getattr(value, one.name) != one.default]
    section = {one.name: _plain(getattr(value, one.name)) for one in own}
    if isinstance(value, VerifyPolicy) and value.status != WELL:
        section["status"] = statuses_text(value.status, ", ")
    return section.get("on", _without_values(section) or True)


def _without_values(section: dict[str, Any]) -> dict[str, Any]:
    """Return a section of rules with the names of its variables only: values may be secrets."""
    own = {"environment", "build_args"} & section.keys()
    return section | {name: [variable for variable, _ in section[name]] for name in own}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def tag_words(rules: "Rules") -> list[str]:
    """Return which tags deploy, in a few words: `v*`, `versions >=1.2 <2`, `only newer`."""
    prefix = rules.tag_prefix and f"{rules.tag_prefix}…"
    prereleases = rules.prereleases and f"pre-releases: {rules.prereleases}"
    versions = rules.versions and f"versions {rules.versions}"
    newer = "only newer" if rules.only_newer else None
    return [one for one in (rules.tags, prefix, versions, prereleases, newer) if one]


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


def became(deployment: "Deployment", *, short: bool = False) -> str:
    """E.g. `→ failed #11: fatal: repository not found`; see `short_note`."""
    head = f"→ {deployment.state} #{deployment.seq}"
    note = short_note(deployment) if short else note_of(deployment)
    return f"{head}: {note}" if note else head


def note_of(said: "Deployment | Change", fate: "Fate | None" = None) -> str:
    """Return its note, for where its state is shown as well; see `note_now`."""
    from bridge.core.health.fate import note_now

    return note_now(said, fate).removeprefix(f"{said.state}: ")


def short_note(deployment: "Deployment", fate: "Fate | None" = None) -> str:
    """Return a history note, with a long branch shortened."""
    branch, note = (deployment.ref or "").removeprefix("refs/heads/"), note_of(deployment, fate)
    return note.replace(branch, short_branch(branch)) if branch else note


def decision_line(decision: "Decision", deployment: "Deployment | None" = None) -> str:
    """E.g. `skip shop/web: no_path_hit (2 files changed, none matches web/**)`."""
    verdict = "deploy" if decision.deploy else "skip"
    line = f"{verdict} {decision.app}: {decision.reason} ({decision.evidence})"
    return f"{line} {became(deployment)}" if deployment else line


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
