"""What is said of a webhook that is explained: what it means, what each app would do, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge.core.apps import App
from bridge.core.decision import Decision, Policy, Reason
from bridge.core.events import Asked, CheckReported, Event, Ignored, PullRequestChanged, RefPushed
from bridge.core.holds import Hold
from bridge.core.lifecycle import State
from bridge.core.previews.verdict import HOLDS
from bridge.views.decisions import DECIDED, decision_form, decision_row
from bridge.views.deployments import NOTE
from bridge.views.holds import HoldData
from bridge.views.preview_reasons import remedy_of
from bridge.views.triggers import tag_words
from bridge.views.values import Code, Icon, Mark, Phrase, Sentence, Sign, Strong, Text, iso, many
from bridge.views.view import Column, Row, Table, View

if TYPE_CHECKING:
    from bridge.core.matching.lint import Finding
    from bridge.core.matching.near_miss import NearMiss
    from bridge.pipeline.deciding.what_if import Apps, Told
    from bridge.pipeline.previews.what_if import Judged
    from bridge.ports.githosts import ChangeSet

HEADING, NAME = 400, 200

MOST_MISSES = 3
"""The most remarks to show on one app's watch paths; programs get all."""


def _form(told: "Told", assumed: Sequence[str] = (), **others: Any) -> dict[str, Any]:
    """Return what programs get of everything that is explained."""
    return {
        "host": told.host,
        "event": told.event,
        "assumed": [*told.assumed, *assumed],
        "ignored": None,
        "decisions": [],
    } | others


def _hints(assumed: Sequence[str], about: Sequence[tuple[str, Sequence[str]]]) -> list[Phrase]:
    """Return what was assumed, and what else to know of apps or previews by their names."""
    return [
        *(("assumed: ", Text(one, NOTE)) for one in assumed),
        *((Text(name, NAME), ": ", Sentence(one, NOTE)) for name, those in about for one in those),
    ]


# ── what nothing deploys for ──────────────────────────────────────────────────────────────────────


def ignored(told: "Told") -> View:
    """Say what it means that nothing deploys for."""
    why = _why_ignored(told.meaning)
    return View(
        ("ignored: ", Text(why, NOTE)),
        data=_form(told, ignored=why),
        hints=_hints(told.assumed, []),
    )


def _why_ignored(meaning: Event) -> str:
    match meaning:
        case PullRequestChanged(pull=pull, opened=True) if not pull.own:
            return f"pull request {pull.number} is from a fork, which sends its own pushes"
        case PullRequestChanged(pull=pull, opened=opened):
            done = "was opened" if opened else "has changed"
            done = done if pull.open else "was merged or closed"
            return f"pull request {pull.number} {done}: nothing deploys for that"
        case CheckReported(commit=commit):
            return f"a check of {commit[:7]}: it only lets waiting deployments pass"
        case Asked(actor=actor, action=action, target=target):
            return f"no webhook: {str(actor) or 'somebody'} asked to {action.verb} {target}"
        case Ignored(reason=reason):
            return reason
    return ""


# ── pushes ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Near:
    """What is wrong with an app's watch paths, and what came nearest if nothing fits.

    Attributes:
        findings: None if nobody has looked.
    """

    findings: "Sequence[Finding] | None" = None
    miss: "NearMiss | None" = None

    def words(self, reason: str) -> list[str]:
        """Return the faults of watch paths that match nothing, else the nearest miss."""
        from bridge.core.matching.lint import said_of

        if reason not in (Reason.NO_PATH_HIT, Reason.WATCH_PATHS_BROKEN):
            return []
        wrong = [one for one in self.findings or () if one.level != "note"]
        said = [f"{said_of(one.pattern, one.sentence)} {one.remedy}" for one in wrong[:MOST_MISSES]]
        return said or ([self.miss.sentence] if self.miss else [])

    def form(self) -> dict[str, Any]:
        """Return what programs get of it."""
        return {"findings": self.findings, "near_miss": self.miss}


def near(app: App, paths: Sequence[str] | None, policy: Policy, *, missed: bool) -> Near:
    """Look at an app's watch paths; `missed`: none of the files matches."""
    from bridge.core.matching.lint import lint
    from bridge.core.matching.near_miss import near_miss

    how = policy.semantics, policy.picomatch
    miss = near_miss(app.watched, paths, *how) if missed else None
    return Near(lint(app.watched, *how), miss)


@dataclass(frozen=True, slots=True)
class ToldOf:
    """What one app would do; `holds`: what would hold that now, None if nothing is to be held."""

    decision: Decision
    near: Near
    holds: Sequence[Hold] | None = None

    def form(self) -> dict[str, Any]:
        """Return what programs get of it."""
        form = decision_form(self.decision) | self.near.form()
        return form if self.holds is None else form | {"holds": list(map(HoldData.of, self.holds))}


def assumed_of(push: RefPushed, concerned: "Apps") -> str:
    """Return what an app deploys that is not as it is now, or is none."""
    (made,), base = concerned.those, concerned.base
    if made.waits_for == "tag":
        which = ", ".join(tag_words(made.rules))
        deploys = f"tags{f' ({which})' if which else ''} of {push.repository.name}"
    else:
        watched = " ".join(made.watched or ()) or "everything"
        deploys = f"pushes to {made.branch} of {push.repository.name}, watching {watched}"
    return f"{'an app that' if base is None else base.label} deploys {deploys}"


def pushed(told: "Told", push: RefPushed, those: Sequence[ToldOf], assumed: Sequence[str]) -> View:
    """Say what each app would do about a push."""
    data = _form(
        told,
        assumed,
        repository=push.repository.name,
        ref=str(push.ref),
        before=push.before,
        after=push.after,
        commit=push.commit.sha if push.commit else None,
        pusher=push.pusher,
        paths=None if push.paths is None else list(push.paths),
        paths_note=push.paths_note,
        decisions=[one.form() for one in those],
    )
    head: Phrase = (Text(_heading(told.host, push), HEADING),)
    misses = [(one.decision.app, one.near.words(one.decision.reason)) for one in those]
    hints = _hints(data["assumed"], misses)
    if not those:
        nobody = (
            f"no app deploys from {push.repository.name} on {told.host};"
            " --watch-path, --branch or --trigger show what an app would do"
        )
        return View((Text(nobody, HEADING),), data=data, hints=[head, *hints])
    table = Table(DECIDED, list(map(_decided, those)), head, above=True)
    return View(head, parts=[table], data=data, hints=hints)


def _decided(one: ToldOf) -> Row:
    says = [f"{hold.gate}: {hold.says}" for hold in one.holds or ()]
    ends = [f" (until {iso(hold.until)})" if hold.until else "" for hold in one.holds or ()]
    held = [said + end for said, end in zip(says, ends, strict=True)]
    notes = [(Mark(State.HELD), " would be held by ", Text(words, NOTE)) for words in held]
    row = decision_row(one.decision, notes=notes)
    app = Text(one.decision.app, NAME)
    lines = (piece for words in held for piece in ("\n", "held ", app, ": ", Text(words, NOTE)))
    return replace(row, line=(*row.line, *lines))


def _heading(host: str, push: RefPushed) -> str:
    """E.g. `github push of main in my-org/mono by ada: 2 files changed`."""
    ref = str(push.ref).removeprefix("refs/heads/").replace("refs/tags/", "tag ")
    by = f" by {push.pusher}" if push.pusher else ""
    count = push.paths_note if push.paths is None else f"{many(len(push.paths), 'file')} changed"
    return f"{host} push of {ref} in {push.repository.name}{by}: {count}"


# ── pull requests ─────────────────────────────────────────────────────────────────────────────────

PREVIEWED = (*map(Column, ("", "preview", "reason")), Column("evidence", long=True))

HELD, WANTED, NONE = "held", "preview", "none"
_SIGNS: Mapping[str, Sign] = {HELD: State.HELD, WANTED: Icon.GO, NONE: Icon.SKIP}


def pulled(
    told: "Told",
    event: PullRequestChanged,
    those: "Sequence[tuple[Judged, Near]]",
    files: "ChangeSet",
    assumed: Sequence[str],
) -> View:
    """Say whether each app would have a preview of a pull request."""
    pull = event.pull
    data = _form(
        told,
        assumed,
        repository=event.repository.name,
        pull_request=pull.number,
        title=pull.title,
        author=pull.author or None,
        fork=not pull.own,
        draft=pull.draft,
        open=pull.open,
        head=pull.head,
        base=pull.base,
        commit=pull.head_sha,
        paths=None if files.paths is None else list(files.paths),
        paths_note=files.note,
        previews=[_preview_form(one) | looked.form() for one, looked in those],
    )
    count = "" if files.paths is None else f": {many(len(files.paths), 'file')} changed"
    head: Phrase = (Text(_pull_heading(told.host, event) + count, HEADING),)
    remarks = [
        (seen.name, [*filter(None, (*looked.words(verdict.why), _remedy(one)))])
        for one, looked in those
        for _, seen, verdict in [one]
    ]
    table = Table(PREVIEWED, [_preview_row(one) for one, _ in those], head, above=True)
    return View(head, parts=[table], data=data, hints=_hints(data["assumed"], remarks))


def _pull_heading(host: str, event: PullRequestChanged) -> str:
    """E.g. `github pull request 12 of feature into main in my-org/mono by ada`."""
    pull = event.pull
    where = f"of {pull.head} into {pull.base} in {event.repository.name}"
    by = f" by {pull.author}" if pull.author else ""
    return f"{host} pull request {pull.number} {where}{by}{'' if pull.own else ' from a fork'}"


def _remedy(one: "Judged") -> str:
    _, seen, verdict = one
    return remedy_of(replace(seen, reason=verdict.why))


def _preview_form(one: "Judged") -> dict[str, Any]:
    app, seen, verdict = one
    return {
        "app": app.label,
        "app_id": app.id,
        "name": seen.name,
        "wanted": verdict.wanted,
        "held": verdict.why in HOLDS,
        "reason": str(verdict.why),
        "evidence": verdict.evidence,
        "remedy": _remedy(one) or None,
    }


def _preview_row(one: "Judged") -> Row:
    _, seen, verdict = one
    word = HELD if verdict.why in HOLDS else WANTED if verdict.wanted else NONE
    name, reason = Text(seen.name, NAME), str(verdict.why)
    evidence = Sentence(verdict.evidence, NOTE)
    return Row(
        ((word,), (name,), (reason,), (evidence,)),
        _SIGNS[word],
        (f"{word} ", name, f": {reason} (", evidence, ")"),
        [(Strong(name), f": {word} ", Code(Text(reason, NOTE))), ("", evidence)],
    )
