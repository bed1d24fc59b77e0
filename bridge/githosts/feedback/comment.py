"""The one comment of a pull request: the state of every app and preview that it concerns. Pure.

The first line is hidden; it identifies the comment. Deployed commits are written as plain hex,
which both hosts turn into links themselves.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from bridge.core.apps import PRODUCTION
from bridge.core.health.fate import Now
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import BAD, OURS, Deployment, State
from bridge.core.previews.preview import Preview, current_of, still_served
from bridge.core.words import many
from bridge.githosts.feedback.comment_reasons import (
    MOST_LOGS,
    Compares,
    nothing,
    preview_notes,
    why_failed,
    why_held,
    why_not,
)
from bridge.githosts.feedback.comment_summary import (
    landed,
    preview_state,
    shown_previews,
    summary,
)
from bridge.githosts.feedback.markdown import NOTHING, cell, commit, link, moment, row
from bridge.githosts.feedback.statuses import Standing, going, newest, standings
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import LINK
from bridge.views.links import NO_CONSOLE, ConsolePages

NO_CHATS: Mapping[str, str] = {}

LONGEST = 65_536
"""GitHub's limit in characters, the smallest of all hosts; counted in bytes here, to be safe."""

_HEAD = ("App", "State", "Visit", "Commit", "Took")
_PREVIEW_HEAD = ("Preview", *_HEAD[1:])
_FOOT = "<sub>dokploy-bridge edits this comment in place · {} says more</sub>"
_ROOM_FOR_NOTES = 400


def marker(instance: str) -> str:
    """Return the hidden line that names the comment's owner; `instance` is the journal's name."""
    return f"<!-- dokploy-bridge:{instance} -->"


def is_marked(body: str, instance: str) -> bool:
    """Return whether a comment is this bridge's, however the host changed its line ends."""
    return body.lstrip().partition("\n")[0].strip() == marker(instance)


def render_comment(
    snapshot: Snapshot,
    instance: str,
    chats: Mapping[str, str] = NO_CHATS,
    console: ConsolePages = NO_CONSOLE,
    compare: Compares = nothing,
    *,
    merged: Collection[int] = (),
    longest: int = LONGEST,
) -> str:
    """Render the whole comment; the same snapshot gives the same text.

    Args:
        chats: the word for a link to a card in each chat, by the chat's key.
        console: where links to logs and reasons lead; without one, to the backend's pages.
        compare: returns the page that compares two commits of an app's repository.
        merged: the deliveries of the push that merged the pull request; see `about_merge`.
        longest: bytes; rows that do not fit are left out and counted.
    """
    of_previews = {id_ for id_, app in snapshot.apps.items() if app.marker}
    apps = [app for app in standings(snapshot) if app.app_id not in of_previews]
    over = landed(snapshot, apps, merged)
    head = [marker(instance), summary(snapshot, apps, merged=merged), ""]
    page = console.delivery(snapshot.explained[0].seq) if snapshot.explained else console.home
    says_more = link("the console", page) if page else "`dokploy-bridge why APP`"
    foot = _FOOT.format(says_more)
    left = longest - _size([*head, foot]) - _ROOM_FOR_NOTES
    previews = [] if over else shown_previews(snapshot, ended=not merged)
    rows = [
        _preview_row(preview, deployment, snapshot.served.get(preview.made or ""), console)
        for preview, deployment in previews
    ]
    note = "more previews; there is no room for them."
    table, left = _fitting(rows, left, "", note, _table_of(_PREVIEW_HEAD))
    kept = [] if over else preview_notes(snapshot.previews, console)
    notes, left = _fitting(kept, left, "- ", "more.", [])
    body = [*table, *notes]
    rows = [_row(app.deployment, app, snapshot, console) for app in apps if app.deployment]
    fold = [f"<details><summary>{many(len(rows), 'app')}</summary>", ""] if over else []
    ends = ["", "</details>", ""] if over else [""]
    note = "more apps; there is no room for them here."
    table, left = _fitting(rows, left, "", note, [*fold, *_table_of(_HEAD)], ends)
    why, left = _fitting(_reasons(snapshot, apps, compare, console), left, "- ", "more.", [])
    folded = [why_not(app, console) for app in apps if app.skipped]
    count = "1 app was" if len(folded) == 1 else f"{len(folded)} apps were"
    opening = [f"<details><summary>{count} not deployed by the newest push</summary>", ""]
    skipped, left = _fitting(folded, left, "- ", "more.", opening, ["", "</details>", ""])
    cards, left = _fitting(_cards(snapshot, chats), left, "", "more.", [])
    return "\n".join([*head, *body, *table, *why, *skipped, *cards, foot])


def _reasons(
    snapshot: Snapshot, apps: Sequence[Standing], compare: Compares, console: ConsolePages
) -> list[str]:
    """Return why apps failed or are held, as list items."""
    why: list[str] = []
    logs = 0
    for app in apps:
        if (made := app.deployment) is None:
            continue
        failed = why_failed(snapshot.told_by(made), snapshot, log=logs < MOST_LOGS)
        logs += bool(failed)
        item = failed or why_held(made, snapshot.apps.get(app.app_id), compare, console)
        why += [item] if item else []
    return why


def _table_of(head: Sequence[str]) -> list[str]:
    return [row(head), row("---" for _ in head)]


def _fitting(
    lines: Sequence[str],
    room: int,
    bullet: str,
    note: str,
    opening: Sequence[str],
    closing: Sequence[str] = ("",),
) -> tuple[list[str], int]:
    """Return as many whole lines as fit, the number of those left out, and the room left."""
    if not lines:
        return [], room
    room -= _size([*opening, *closing])
    kept: list[str] = []
    for line in lines:
        if _size([line]) > room:
            break
        room -= _size([line])
        kept.append(line)
    missing = len(lines) - len(kept)
    said = [] if not missing else ([] if bullet else [""]) + [f"{bullet}… {missing} {note}"]
    return [*opening, *kept, *said, *closing], room


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _row(
    deployment: Deployment, standing: Standing, snapshot: Snapshot, console: ConsolePages
) -> str:
    told, app = snapshot.told_by(deployment), snapshot.apps.get(standing.app_id)
    begun = app is not None and told.state not in OURS
    page = console.deployment(told.id) or (app.page if app and begun else None)
    where = "" if standing.environment == PRODUCTION else f" · {cell(standing.environment)}"
    return row(
        (
            cell(standing.label) + where,
            _state(deployment, snapshot, page),
            _visit(app.url if app and told.served else None),
            _deployed(told),
            _duration(told),
        )
    )


def _visit(url: str | None) -> str:
    visit = link("Visit", url)
    return visit if visit != "Visit" else NOTHING


def _state(deployment: Deployment, snapshot: Snapshot, page: str | None) -> str:
    """Return the state; of what was rolled back, to what, and the lock that was left.

    Args:
        page: where its log is.
    """
    told = snapshot.told_by(deployment)
    fate, lock = snapshot.fates.get(told.id), snapshot.lock_of(told)
    icon, words = going(deployment, snapshot)
    if fate is not None and fate.now is Now.ROLLED_BACK:
        words = cell(fate.says)
    locked = f" · 🔒 locked by {cell(lock.name)}" if lock is not None else ""
    if lock is not None and lock.until is not None:
        locked += f" until {moment(lock.until)} UTC"
    return link(f"{icon} {words}", page) + locked


def _cards(snapshot: Snapshot, chats: Mapping[str, str]) -> list[str]:
    """Return one link for each chat: to the card of what needs somebody most."""
    deployments = sorted(newest(snapshot), key=_urgency)
    found = [
        link(word, url)
        for chat, word in chats.items()
        if (url := next(filter(None, (_card(one, snapshot, chat) for one in deployments)), None))
    ]
    return [" · ".join(found)] if found else []


def _urgency(deployment: Deployment) -> int:
    if deployment.state in BAD:
        return 0
    return 1 if deployment.state is State.HELD else 2 + deployment.final


def _card(deployment: Deployment, snapshot: Snapshot, chat: str) -> str | None:
    """Return the link to its card in a chat, or to its successor's; None if there is none.

    A chat may have several, in different channels; the first is enough.
    """
    for id_ in (deployment.id, deployment.superseded_by):
        for subscription, cursor in sorted(snapshot.beside.items()):
            kind, _, about = subscription.partition(" ")
            if kind.startswith(f"{chat}.") and id_ in about.split() and cursor.get(LINK):
                return str(cursor[LINK])
    return None


def _deployed(deployment: Deployment) -> str:
    """Return the commit that is reported, and the pushed one if it differs, or the image."""
    if not deployment.served:
        return NOTHING
    live, pushed = deployment.deployed_commit, deployment.commit
    if live is None:
        return cell(deployment.image) if deployment.image else "not reported"
    return commit(live) + (f" (pushed {commit(pushed)})" if pushed not in (None, live) else "")


def _duration(deployment: Deployment) -> str:
    """Return how long the build took, once it has ended; earlier it would change all the time."""
    began, ended = deployment.started_at, deployment.finished_at
    if not deployment.final or began is None or ended is None:
        return NOTHING
    seconds = max(0, round(ended - began))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _preview_row(
    preview: Preview,
    deployment: Deployment | None,
    served: Deployment | None,
    console: ConsolePages,
) -> str:
    state, took = preview_state(preview, deployment), NOTHING
    if (current := current_of(preview, deployment)) is not None:
        state, took = link(state, console.deployment(current.id)), _duration(current)
    if served is not None and still_served(preview, deployment, served):
        state += f", {commit(served.deployed_commit or version_of(served))} is still up"
    there = served is not None or (current is not None and current.served)
    live = current.deployed_commit if current is not None and current.served else None
    return row(
        (
            cell(preview.app),
            state,
            _visit(preview.url if there and not preview.ends else None),
            commit(live or preview.pull.head_sha),
            took,
        )
    )
