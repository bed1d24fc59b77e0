"""The one comment of a pull request: the state of every app and preview that it concerns. Pure.

The first line is hidden; it identifies the comment. Deployed commits are written as plain hex,
which both hosts turn into links themselves.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from bridge.core.apps import App
from bridge.core.failure import LONGEST_REASON, MOST_CHARACTERS
from bridge.core.health.fate import Now, note_now
from bridge.core.health.rollback import version_of
from bridge.core.holds import Proposal, proposal_in
from bridge.core.lifecycle import BAD, Deployment, State
from bridge.core.log_text import shorten
from bridge.core.masking import redact
from bridge.core.previews.preview import Preview, PreviewState, still_served
from bridge.core.previews.verdict import Why
from bridge.githosts.feedback.statuses import (
    SHOWN,
    WHY_NOT,
    Standing,
    going,
    newest,
    one_line,
    reasons_of,
    standings,
)
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import LINK
from bridge.views.links import NO_CONSOLE, ConsolePages

NO_CHATS: Mapping[str, str] = {}

Compares = Callable[[App | None, str | None, str | None], str | None]
"""Returns the page that compares two commits of an app's repository; None if it is not known."""


def nothing(_app: App | None, _old: str | None, _new: str | None) -> None:
    """Compare nothing: no page is known."""


LONGEST = 65_536
"""GitHub's limit in characters; counted in bytes here, to be safe either way."""

_HEAD = ("App", "Environment", "State", "Deployed commit", "Duration", "Updated (UTC)")
_FOOT = "<sub>dokploy-bridge edits this comment in place · {} says more</sub>"
_ROOM_FOR_NOTES = 400

MOST_LINES = 5
"""Lines of evidence, reasons of a hold, or files of a proposal; the others are counted or cut."""


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
    of_previews = {id_ for id_, app in snapshot.apps.items() if app.marker}
    apps = [app for app in standings(snapshot) if app.app_id not in of_previews]
    head = [marker(instance), *_summaries(snapshot, apps), ""]
    page = console.delivery(snapshot.explained[0].seq) if snapshot.explained else console.home
    says_more = link("the console", page) if page else "`dokploy-bridge why APP`"
    foot = _FOOT.format(says_more)
    left = longest - _size([*head, foot]) - _ROOM_FOR_NOTES
    rows = [
        _preview_row(preview, deployment, snapshot.served.get(preview.made or ""), console)
        for preview, deployment in _shown_previews(snapshot)
    ]
    note = "more previews; there is no room for them."
    previews, left = _fitting(rows, left, "", note, _table_of(_PREVIEW_HEAD))
    notes, left = _fitting(_preview_notes(snapshot), left, "- ", "more.", [])
    rows = [_row(app.deployment, app, snapshot, chats, console) for app in apps if app.deployment]
    note = "more apps; there is no room for them here."
    table, left = _fitting(rows, left, "", note, _table_of(_HEAD))
    why = [
        _why_failed(snapshot.told_by(app.deployment), snapshot)
        or _why_held(app.deployment, snapshot.apps.get(app.app_id), compare)
        for app in apps
        if app.deployment
    ]
    failed, left = _fitting([line for line in why if line], left, "- ", "more.", [])
    folded = [f"- {cell(app.label)}: {_why_not(app, console)}" for app in apps if app.skipped]
    count = "1 app was" if len(folded) == 1 else f"{len(folded)} apps were"
    opening = [f"<details><summary>{count} not deployed by the newest push</summary>", ""]
    skipped, left = _fitting(folded, left, "- ", "more.", opening, ["", "</details>", ""])
    return "\n".join([*head, *previews, *notes, *table, *failed, *skipped, foot])


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


def _summaries(snapshot: Snapshot, apps: Sequence[Standing]) -> list[str]:
    """Return one line for the deployments and one for the previews, without what there is not."""
    states = Counter(
        _preview_state(preview, deployment).partition(" ")[2]
        for preview, deployment in _shown_previews(snapshot)
    )
    lines = [_summary(snapshot, apps)] if apps or not states else []
    if states:
        lines.append("**Previews**: " + " · ".join(f"{states[word]} {word}" for word in states))
    return lines


def _summary(snapshot: Snapshot, apps: Sequence[Standing]) -> str:
    """Return a one-line summary, which also suits a mail or a notification."""
    states = Counter(
        going(app.deployment, snapshot)[1] for app in apps if app.deployment and not app.skipped
    )
    words = dict.fromkeys([*(shown.words for shown in SHOWN.values()), *sorted(states)])
    said = [f"{states[word]} {word}" for word in words if states[word]]
    if skipped := sum(app.skipped for app in apps):
        said.append(f"{skipped} not deployed")
    counted = " · ".join(said)
    if not snapshot.explained:
        return f"**Deployments**: {counted}"
    push = snapshot.explained[0]
    ref = code((push.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/"))
    return f"**Deployments** of {commit(push.commit)} on {ref}: {counted}"


def _row(
    deployment: Deployment,
    standing: Standing,
    snapshot: Snapshot,
    chats: Mapping[str, str],
    console: ConsolePages,
) -> str:
    state, told = _state(deployment, snapshot), snapshot.told_by(deployment)
    times = (told.finished_at, told.started_at, told.asked_at, told.created_at)
    app = snapshot.apps.get(standing.app_id)
    links = [
        link("site", app.url) if app and told.served else "",
        link("log", console.deployment(told.id) or (app.page if app else None)),
        *(link(word, _card(deployment, snapshot, chat)) for chat, word in chats.items()),
    ]
    return row(
        (
            cell(standing.label),
            cell(standing.environment),
            " · ".join([state, *(made for made in links if made.startswith("["))]),
            _deployed(told),
            _duration(told),
            moment(next(at for at in times if at is not None)),
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
    # Its evidence, without the first line, which the note repeats.
    lines = redact((deployment.log_tail or "")[:MOST_CHARACTERS]).split("\n")[1:]
    seen = [one_line(line, LONGEST_REASON) for line in lines if line.strip()][:MOST_LINES]
    return "\n".join([said, "", *(f"      {line}" for line in seen), ""]) if seen else said


def _why_held(deployment: Deployment, app: App | None, compare: Compares) -> str:
    """Return what holds an app's deployment, as a list item; "" if nothing does."""
    holds = reasons_of(deployment)
    if not holds:
        return ""
    said = [code(reason, LONGEST_REASON) for reason in holds[:MOST_LINES]]
    if (more := len(holds) - MOST_LINES) > 0:
        said.append(f"and {more} more")
    opens = [hold.until for hold in deployment.holds if hold.until]
    whole = len(opens) == len(deployment.holds)
    until = f" (until {moment(max(opens))} UTC)" if whole else ""
    asks = _to_approve(proposal_in(deployment.holds), app, compare)
    return f"- {cell(deployment.app)} is held: {'; '.join(said)}{until}{asks}"


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
    files = [code(file, 80) for file in proposal.files[:MOST_LINES]]
    left = proposal.beyond(len(files))
    more = f" and {left} more" if left else ""
    return f"{shown}: {', '.join(files)}{more}" if files else shown


def _why_not(app: Standing, console: ConsolePages) -> str:
    assert app.newest is not None
    decision = app.newest.decision
    words = WHY_NOT.get(decision.reason, decision.reason.replace("_", " "))
    page = link("more", console.delivery(app.newest.seq))
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


# ── Previews ────────────────────────────────────────────────────────────────────────────────────

_PREVIEW_HEAD = ("Preview", "State", "Address", "Commit", "Updated (UTC)")

LONGEST_NOTE = 300

_STATES = {
    PreviewState.NEW: "⏳ being looked at",
    PreviewState.SKIPPED: "none",
    PreviewState.HELD: "✋ held",
    PreviewState.MAKING: "🔨 being made",
    PreviewState.UP: "⏳ waiting",
    PreviewState.ENDING: "🧹 being removed",
    PreviewState.ENDED: "⏹️ removed",
}


def _shown_previews(snapshot: Snapshot) -> list[tuple[Preview, Deployment | None]]:
    """Return the previews that there are, were or are to be, each with its newest deployment."""
    deployed = {deployment.app_id: deployment for deployment in newest(snapshot)}
    return [
        (preview, deployed.get(preview.made or ""))
        for preview in snapshot.previews
        if preview.state is not PreviewState.SKIPPED
    ]


def _preview_notes(snapshot: Snapshot) -> list[str]:
    """Return what keeps previews, and why there are none, as list items."""
    return [
        f"- {cell(preview.app)} {why}: {code(redact(preview.note), LONGEST_NOTE)}"
        for preview in snapshot.previews
        if preview.note and (why := _why_kept(preview))
    ]


def _why_kept(preview: Preview) -> str:
    if preview.state is PreviewState.HELD:
        return "is held"
    if preview.failures:
        return "waits"
    if preview.state is not PreviewState.SKIPPED:
        return ""
    return "has none of the bridge's" if preview.reason == Why.NATIVE else "has no preview"


def _preview_row(
    preview: Preview,
    deployment: Deployment | None,
    served: Deployment | None,
    console: ConsolePages,
) -> str:
    state, at = _preview_state(preview, deployment), preview.active_at
    if deployment is not None:
        if served is not None and still_served(deployment.state, served):
            state += f", {commit(served.deployed_commit or version_of(served))} is still up"
        log = link("log", console.deployment(deployment.id))
        state += f" · {log}" if log.startswith("[") else ""
        at = deployment.finished_at or deployment.started_at or deployment.created_at
    shown = preview.url.partition("://")[2].rstrip("/") if preview.url else ""
    address = link(shown, preview.url) if preview.url else NOTHING
    return row((cell(preview.app), state, address, commit(preview.pull.head_sha), moment(at)))


def _preview_state(preview: Preview, deployment: Deployment | None) -> str:
    if preview.state is not PreviewState.UP or deployment is None:
        return _STATES[preview.state]
    shown = SHOWN[deployment.state]
    return f"{shown.icon} {'up' if deployment.state is State.DONE else shown.words}"


# ── Markdown of untrusted texts ──────────────────────────────────────────────────────────────────

NOTHING = "\N{EN DASH}"
"""Fills a cell that has nothing to show."""

_FENCES = re.compile("`+")
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def code(text: str, most: int = 200) -> str:
    """Format untrusted text as code."""
    line = one_line(text, most)
    if not line:
        return NOTHING
    # A fence that the text does not contain; spaces keep the text's backticks from joining it.
    fence = "`" * (1 + max((len(run) for run in _FENCES.findall(line)), default=0))
    room = " " if "`" in line else ""
    return f"{fence}{room}{line}{room}{fence}"


def cell(text: str, most: int = 100) -> str:
    r"""Format untrusted text as code in a table.

    Pipes are replaced: one ends a cell even inside code, and renderers disagree on `\\|`.
    """
    return code(text.replace("|", "\N{BROKEN BAR}"), most)


def link(words: str, url: str | None) -> str:
    """Format our own text as a link to a known address, or as plain text without one."""
    return f"[{words}]({url})" if url and _LINK.fullmatch(url) else words


def row(cells: Iterable[str]) -> str:
    """Format one line of a table."""
    return f"| {' | '.join(cells)} |"


_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?").fullmatch


def commit(sha: str | None) -> str:
    """Return seven digits, which the host links; format anything but an object id as code."""
    if sha is None:
        return NOTHING
    return sha[:7] if _SHA(sha) else cell(sha, 12)


def moment(at: float) -> str:
    """Return a time in seconds since 1970 for people, in UTC to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
