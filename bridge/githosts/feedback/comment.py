"""The one comment of a pull request: the state of every app and preview that it concerns. Pure.

The first line is hidden; it identifies the comment. Deployed commits are written as plain hex,
which both hosts turn into links themselves.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from bridge.core.apps import App
from bridge.core.console import NO_CONSOLE, ConsolePages
from bridge.core.failure import LONGEST_REASON, MOST_CHARACTERS
from bridge.core.health.fate import Now, note_now
from bridge.core.holds import Proposal, proposal_in
from bridge.core.lifecycle import BAD, Deployment, State
from bridge.core.log_text import shorten
from bridge.core.masking import redact
from bridge.githosts.feedback.comment_previews import TABLE, notes_in, previews_in, previews_summary
from bridge.githosts.feedback.markdown import (
    NOTHING,
    cell,
    code,
    commit,
    link,
    moment,
    one_line,
    row,
)
from bridge.githosts.feedback.statuses import GOING, WHY_NOT, Standing, going, reasons_of, standings
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import LINK

NO_CHATS: Mapping[str, str] = {}

Compares = Callable[[App | None, str | None, str | None], str | None]
"""Returns the page that compares two commits of an app's repository; None if it is not known."""


def nothing(_app: App | None, _old: str | None, _new: str | None) -> None:
    """Compare nothing: no page is known."""


LONGEST = 65_536
"""GitHub's limit in characters; counted in bytes here, to be safe either way."""

_HEAD = ("App", "Environment", "State", "Deployed commit", "Duration", "Updated (UTC)")
_FOOT = "<sub>dokploy-bridge edits this comment in place · `dokploy-bridge why APP` says more</sub>"
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
    longest: int = LONGEST,
) -> str:
    """Render the whole comment; the same snapshot gives the same text.

    Args:
        chats: the word for a link to a card in each chat, by the chat's key.
        console: where links to logs and reasons lead; without one, to the backend's pages.
        compare: returns the page that compares two commits of an app's repository.
        longest: bytes; rows that do not fit are left out and counted.
    """
    found = [one for one in standings(snapshot) if not _is_preview(one, snapshot)]
    head = [marker(instance), *_summaries(snapshot, found), ""]
    left = longest - _size([*head, _FOOT]) - _ROOM_FOR_NOTES
    made = previews_in(snapshot, console)
    previews, left = _fitting(made, left, "", "more previews; there is no room for them.", TABLE)
    notes, left = _fitting(notes_in(snapshot), left, "- ", "more.", [])
    shown = [_row(one.deployment, one, snapshot, chats, console) for one in found if one.deployment]
    table, left = _fitting(shown, left, "", "more apps; there is no room for them here.", _TABLE)
    why = [
        _why_failed(snapshot.told_by(one.deployment), snapshot)
        or _why_held(one.deployment, snapshot.apps.get(one.app_id), compare)
        for one in found
        if one.deployment
    ]
    failed, left = _fitting([line for line in why if line], left, "- ", "more.", [])
    folded = [f"- {cell(one.label)}: {_why_not(one, console)}" for one in found if one.skipped]
    opening = [_summary_of(len(folded)), ""]
    skipped, left = _fitting(folded, left, "- ", "more.", opening, ["", "</details>", ""])
    return "\n".join([*head, *previews, *notes, *table, *failed, *skipped, _FOOT])


_TABLE = [row(_HEAD), row("---" for _ in _HEAD)]


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


def _is_preview(one: Standing, snapshot: Snapshot) -> bool:
    app = snapshot.apps.get(one.app_id)
    return app is not None and bool(app.marker)


def _summaries(snapshot: Snapshot, found: Sequence[Standing]) -> list[str]:
    """Return one line for the deployments and one for the previews, without what there is not."""
    previews = previews_summary(snapshot)
    said = [_summary(snapshot, found)] if found or not previews else []
    return said + ([f"**Previews**: {previews}"] if previews else [])


def _summary(snapshot: Snapshot, found: Sequence[Standing]) -> str:
    """Return a one-line summary, which also suits a mail or a notification."""
    states = Counter(
        going(one.deployment, snapshot)[1] for one in found if one.deployment and not one.skipped
    )
    words = dict.fromkeys([*GOING.values(), *sorted(states)])
    said = [f"{states[word]} {word}" for word in words if states[word]]
    if skipped := sum(one.skipped for one in found):
        said.append(f"{skipped} not deployed")
    counted = " · ".join(said)
    newest = snapshot.explained[0] if snapshot.explained else None
    if newest is None:
        return f"**Deployments**: {counted}"
    what = commit(newest.commit)
    where = code((newest.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/"))
    return f"**Deployments** of {what} on {where}: {counted}"


def _summary_of(count: int) -> str:
    apps = "1 app was" if count == 1 else f"{count} apps were"
    return f"<details><summary>{apps} not deployed by the newest push</summary>"


def _row(
    deployment: Deployment,
    one: Standing,
    snapshot: Snapshot,
    chats: Mapping[str, str],
    console: ConsolePages,
) -> str:
    state, told = _state(deployment, snapshot), snapshot.told_by(deployment)
    app = snapshot.apps.get(one.app_id)
    links = [
        link("site", app.url) if app and told.served else "",
        link("log", console.deployment(told.id) or (app.page if app else None)),
        *(link(word, _card(deployment, snapshot, chat)) for chat, word in chats.items()),
    ]
    return row(
        (
            cell(one.label),
            cell(one.environment),
            " · ".join([state, *(made for made in links if made.startswith("["))]),
            _deployed(told),
            _duration(told),
            moment(_updated(told)),
        )
    )


def _state(deployment: Deployment, snapshot: Snapshot) -> str:
    """Return the state; of what was rolled back, to what, and the lock that was left."""
    told = snapshot.told_by(deployment)
    fate, lock = snapshot.fates.get(told.id), snapshot.lock_of(told)
    icon, words = going(deployment, snapshot)
    if fate is not None and fate.now is Now.ROLLED_BACK:
        words = cell(fate.says)
    locked = f" · 🔒 locked by {cell(lock.name)}" if lock is not None else ""
    if lock is not None and lock.until is not None:
        locked += f" until {moment(lock.until)} UTC"
    return f"{icon} {words}{locked}"


def _why_failed(deployment: Deployment, snapshot: Snapshot) -> str:
    """Return why an app's deployment failed, as a list item; "" if it did not fail."""
    if deployment.state not in BAD or not deployment.note:
        return ""
    fate = snapshot.fates.get(deployment.id)
    note = note_now(deployment, fate)
    reason = shorten(redact(note[:MOST_CHARACTERS]), LONGEST_REASON)
    if deployment.state is State.FAILED:
        return f"- {cell(deployment.app)} failed: {code(reason, LONGEST_REASON)}"
    past = fate is not None and not fate.live
    said = f"- {cell(deployment.app)} {'was' if past else 'is'} unhealthy:"
    said += f" {code(reason, LONGEST_REASON)}"
    if fate is not None and past:
        said += f"; {cell(fate.says)}"
    return "\n".join([said, *_seen(deployment)])


MOST_SEEN = 5


def _seen(deployment: Deployment) -> list[str]:
    """Return the beginning of the evidence that one is unhealthy, without what its note says."""
    lines = redact((deployment.log_tail or "")[:MOST_CHARACTERS]).split("\n")[1:]
    shown = [one_line(line, LONGEST_REASON) for line in lines if line.strip()][:MOST_SEEN]
    return ["", *(f"      {line}" for line in shown), ""] if shown else []


MOST_HOLDS = 5


def _why_held(deployment: Deployment, app: App | None, compare: Compares) -> str:
    """Return what holds an app's deployment, as a list item; "" if nothing does."""
    holds = reasons_of(deployment)
    if not holds:
        return ""
    said = [code(reason, LONGEST_REASON) for reason in holds[:MOST_HOLDS]]
    if (more := len(holds) - MOST_HOLDS) > 0:
        said.append(f"and {more} more")
    opens = [one.until for one in deployment.holds]
    until = ""
    if all(opens):
        until = f" (until {moment(max(at for at in opens if at is not None))} UTC)"
    asks = _to_approve(proposal_in(deployment.holds), app, compare)
    return f"- {cell(deployment.app)} is held: {'; '.join(said)}{until}{asks}"


MOST_FILES = 5


def _to_approve(proposal: Proposal | None, app: App | None, compare: Compares) -> str:
    """Return what an approval would be for, and what it brings; "" if none is needed."""
    if proposal is None:
        return ""
    author = f" by {code(proposal.author, 60)}" if proposal.author else ""
    says = f" {code(proposal.message, 120)}" if proposal.message else ""
    shown = f". To approve: {commit(proposal.commit)}{says}{author}"
    if proposal.live is None:
        return shown
    page = compare(app, proposal.live, proposal.commit)
    shown += f", {link(proposal.count, page)} since {commit(proposal.live)}"
    files = [code(one, 80) for one in proposal.files[:MOST_FILES]]
    left = proposal.beyond(len(files))
    more = f" and {left} more" if left else ""
    return f"{shown}: {', '.join(files)}{more}" if files else shown


def _why_not(one: Standing, console: ConsolePages) -> str:
    assert one.newest is not None
    decision = one.newest.decision
    words = WHY_NOT.get(decision.reason, decision.reason.replace("_", " "))
    page = link("more", console.delivery(one.newest.seq))
    more = f", {page}" if page.startswith("[") else ""
    return f"{words} ({code(decision.evidence, 300)}{more})"


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


def _updated(deployment: Deployment) -> float:
    times = (deployment.finished_at, deployment.started_at, deployment.asked_at)
    return next((at for at in times if at is not None), deployment.created_at)


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
