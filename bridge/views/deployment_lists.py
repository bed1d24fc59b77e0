"""Lists of deployments, and one with its history: for people, and for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.core.apps import App
from bridge.core.lifecycle import Change, Deployment, NoteKind, State
from bridge.core.log_text import short_branch
from bridge.core.masking import redact
from bridge.core.people import PUSH
from bridge.views.deployments import APP_NAME, NOTE, asked_by, brief, took
from bridge.views.values import Commit, Moment, Phrase, Strong, Text, iso, joined
from bridge.views.view import Column, Facts, Log, Row, Steps, Table, View

if TYPE_CHECKING:
    from bridge.core.health.fate import Fate

# ── lists ─────────────────────────────────────────────────────────────────────────────────────────

COLUMNS = (
    *map(Column, ("created", "number", "state", "commit", "app")),
    Column("what happened", long=True),
)

NONE_YET = "nothing has been deployed yet; `dokploy-bridge deliveries` lists what came in"


def listed(
    those: Sequence[Deployment],
    fates: "Mapping[str, Fate]",
    app: App | None = None,
    remarks: Sequence[Phrase] = (),
) -> View:
    """List deployments, newest first; `app`: the one whose they all are."""
    data = [
        deployment_form(one, fate := fates.get(one.id)) | {"fate": fate_form(fate)} for one in those
    ]
    if not those:
        never: Phrase = (Text(app.label, APP_NAME), " was never deployed from here") if app else ()
        return View(never or (NONE_YET,), data=data, empty=True, remarks=remarks)
    rows = [_row(one, fates.get(one.id), app) for one in those]
    title: Phrase = ("Deployments",) if app is None else ("History of ", Text(app.label, APP_NAME))
    head = (*title, f": {len(those)}")
    return View(head, parts=[Table(COLUMNS, rows, title)], data=data, remarks=remarks)


def _row(deployment: Deployment, fate: "Fate | None", app: App | None) -> Row:
    commit = deployment.deployed_commit or deployment.commit or ""
    trigger = "" if deployment.origin == PUSH else f" ({deployment.trigger})"
    created, number = deployment.created_at, f"#{deployment.seq}"
    what = _with_fate(short_note(deployment, fate), deployment, fate)
    told = _with_fate(note_of(deployment, fate), deployment, fate)
    named: Phrase = () if app is not None else (Strong(Text(deployment.app, APP_NAME)),)
    at = deployment.finished_at or deployment.started_at or created
    lasted: Phrase = (took(deployment),) if took(deployment) else ()
    return Row(
        (
            (Moment(created, since=True),),
            (number,),
            (deployment.state,),
            (Commit(commit, app),) if commit else (_short(deployment.shown_image),),
            (Text(deployment.app, APP_NAME),),
            (Text(what + trigger, NOTE),),
        ),
        deployment.state,
        (
            *(Moment(created, since=True), f" {deployment.id} "),
            *(Text(deployment.app, APP_NAME), f" {deployment.state}: ", Text(told, NOTE)),
        ),
        [
            joined(named, (number,), *brief(deployment, app), (Moment(at),), lasted),
            asked_by(deployment),
            (Text(what, NOTE),) if what else (),
        ],
    )


def shown(
    deployment: Deployment,
    fate: "Fate | None",
    changes: Sequence[Change],
    remarks: Sequence[Phrase] = (),
) -> View:
    """Show one deployment, its history, and the end of its log if it has failed."""
    data = ended_form(deployment, fate) | {"fate": fate_form(fate)}
    facts = [(name, (Text(value, NOTE),)) for name, value in _facts(deployment, fate).items()]
    return View(
        (Strong(Text(deployment.app, APP_NAME)), f" #{deployment.seq}: {deployment.state}"),
        deployment.state,
        parts=[
            Facts(facts),
            Steps([replace(one, note=note_of(one)) for one in changes]),
            *tail_of(deployment),
        ],
        data=data | {"changes": [change_form(one) for one in changes]},
        remarks=remarks,
    )


def _facts(deployment: Deployment, fate: "Fate | None") -> dict[str, str]:
    seconds = (deployment.finished_at or 0) - (deployment.started_at or 0)
    timed = deployment.started_at and deployment.finished_at
    facts = {
        "deployment": deployment.id,
        "app": deployment.app,
        "state": str(deployment.state),
        "trigger": deployment.trigger,
        "action": str(deployment.action),
        "ref": deployment.ref or "",
        "commit": deployment.commit or "",
        "deployed": deployment.deployed_commit or "",
        "image": deployment.image or "",
        "backend": deployment.backend_id or "",
        "message": (deployment.message or "").partition("\n")[0],
        "author": deployment.author or "",
        "delivery": deployment.delivery,
        "took": f"{seconds:.1f} s" if timed else "",
        "live": _live(deployment, fate),
        "superseded": f"by {deployment.superseded_by}" if deployment.superseded_by else "",
    }
    return {name: value for name, value in facts.items() if value}


def _live(deployment: Deployment, fate: "Fate | None") -> str:
    """Return since when it is live, or from when until when it was, and what replaced it."""
    if fate is None or deployment.live_at is None:
        return ""
    until = "" if fate.until is None else f" until {iso(fate.until)}"
    at = f"{'since' if fate.live else 'from'} {iso(deployment.live_at)}{until}"
    return "; ".join(filter(None, (at, fate.says)))


def tail_of(deployment: Deployment) -> list[Log]:
    """Return the end of a failed deployment's log, or what an unhealthy one has answered."""
    if not deployment.log_tail:
        return []
    seen = "what was seen:" if deployment.state is State.UNHEALTHY else "the end of its log:"
    return [Log(redact(deployment.log_tail).split("\n"), seen)]


def _short(image: str) -> str:
    """Return an image without its registry and path, and of a digest the beginning."""
    name, at, digest = image.rpartition("/")[2].partition("@")
    return f"{name}{at}{digest.removeprefix('sha256:')[:7]}"[:32]


def _with_fate(note: str, deployment: Deployment, fate: "Fate | None") -> str:
    """Return a note with what has become of a version that went live, unless it says that."""
    if fate is None:
        return note
    kind = deployment.note_kind
    says_live = kind is NoteKind.UNTOLD or (fate.itself and kind in (NoteKind.LIVE, NoteKind.AGAIN))
    live = "live now" if fate.live and not says_live else ""
    return "; ".join(filter(None, (note, live, fate.says)))


# ── for programs ──────────────────────────────────────────────────────────────────────────────────


def deployment_form(deployment: Deployment, fate: "Fate | None" = None) -> dict[str, Any]:
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


def ended_form(deployment: Deployment, fate: "Fate | None" = None) -> dict[str, Any]:
    """Return a single deployment, with the lines that show why it failed or is unhealthy."""
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


def change_form(change: Change) -> dict[str, Any]:
    """Return one line of a deployment's history."""
    from bridge.core.health.fate import as_told

    return {"at": iso(change.at), "state": str(change.state), "note": as_told(change)}


# ── in words ──────────────────────────────────────────────────────────────────────────────────────


def became(deployment: Deployment, *, short: bool = False) -> str:
    """E.g. `→ failed #11: fatal: repository not found`; see `short_note`."""
    head = f"→ {deployment.state} #{deployment.seq}"
    note = short_note(deployment) if short else note_of(deployment)
    return f"{head}: {note}" if note else head


def note_of(said: Deployment | Change, fate: "Fate | None" = None) -> str:
    """Return its note, for where its state is shown as well; see `note_now`."""
    from bridge.core.health.fate import note_now

    return note_now(said, fate).removeprefix(f"{said.state}: ")


def short_note(deployment: Deployment, fate: "Fate | None" = None) -> str:
    """Return a history note, with a long branch shortened."""
    branch, note = (deployment.ref or "").removeprefix("refs/heads/"), note_of(deployment, fate)
    return note.replace(branch, short_branch(branch)) if branch else note
