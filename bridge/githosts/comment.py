"""The one comment of a pull request: the current state of every app that its pushes concern. Pure.

The first line is hidden; it identifies the comment. Deployed commits are written as plain hex,
which both hosts turn into links themselves.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.core.apps import environment_of
from bridge.core.console import NO_CONSOLE, ConsolePages
from bridge.core.decision import Reason
from bridge.core.failure import LONGEST_REASON, MOST_CHARACTERS
from bridge.core.lifecycle import Deployment, State
from bridge.core.log_text import marked, redact, shorten
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import LINK, Explained

NOTHING = "\N{EN DASH}"
"""Fills a cell that has nothing to show."""

_FENCES = re.compile("`+")
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def one_line(text: str, most: int) -> str:
    """Return the first non-empty line, at most `most` characters, without control characters."""
    line = marked(next((line.strip() for line in text.splitlines() if line.strip()), ""))
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


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


# ── The state of each app for the pushes that a subscription follows ──────────────────────────────

SILENT = frozenset(
    {
        Reason.DUPLICATE_PUSH,
        Reason.REPOSITORY_MISMATCH,
        Reason.CANCEL_ASKED,
        Reason.CANCEL_ONE_ASKED,
        Reason.CONFIGURE_ASKED,
    }
)
"""Decisions that don't count for a push: another delivery decides it."""

ELSEWHERE = frozenset({Reason.BRANCH_MISMATCH, Reason.TRIGGER_MISMATCH, Reason.OWN_BRANCH})
"""The app does not deploy from what was pushed."""

WHY_NOT = {
    Reason.TRIGGER_MISMATCH: "waits for another kind of push",
    Reason.BRANCH_MISMATCH: "waits for another branch",
    Reason.REF_DELETED: "the branch or tag was deleted",
    Reason.SKIP_DIRECTIVE: "the push asks to be skipped",
    Reason.TAG_MISMATCH: "the tag does not fit its rules",
    Reason.TAG_TOO_OLD: "a newer version has been deployed",
    Reason.NO_PATH_HIT: "no watched path changed",
    Reason.WATCH_PATHS_BROKEN: "a watch path can't be understood",
    Reason.MADE_LATER: "it was made after this push",
    Reason.OWN_BRANCH: "the bridge has pinned it so",
}
"""Why an app does not deploy, in a few words"""

GOING = {
    State.WAITING: "waiting",
    State.HELD: "held",
    State.ASKED: "accepted by the backend",
    State.QUEUED: "queued at the backend",
    State.RUNNING: "building",
    State.VERIFYING: "being verified",
    State.DONE: "deployed",
    State.UNHEALTHY: "deployed, but unhealthy",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.SUPERSEDED: "superseded by a newer push",
    State.UNKNOWN: "accepted, outcome unknown",
}
"""A deployment's state, in a few words."""

BAD = (State.FAILED, State.UNHEALTHY)
"""The ends whose reason is told."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one app.

    Attributes:
        label: the app's name for people.
        newest: the newest decision that counts.
        deployment: the newest; it may be of an older push than `newest`.
    """

    app_id: str
    label: str
    environment: str
    newest: Explained | None = None
    deployment: Deployment | None = None

    @property
    def skipped(self) -> bool:
        """True if the newest push did not deploy it."""
        if self.newest is None or self.newest.decision.deploy:
            return False
        return self.deployment is None or self.deployment.seq < self.newest.seq


def standings(snapshot: Snapshot) -> list[Standing]:
    """Return every app in the snapshot, ordered by label."""
    # both lists are newest first, so the last write is the newest
    said = {
        one.decision.app_id: one
        for one in reversed(snapshot.explained)
        if one.decision.reason not in SILENT
    }
    deployed = {one.app_id: one for one in newest(snapshot)}
    found = [
        Standing(
            app_id,
            _label(app_id, snapshot, said, deployed),
            environment_of(snapshot.apps.get(app_id)),
            said.get(app_id),
            deployed.get(app_id),
        )
        for app_id in said.keys() | deployed.keys()
    ]
    return sorted(found, key=lambda one: (one.label, one.app_id))


def newest(snapshot: Snapshot) -> list[Deployment]:
    """Return the newest deployment of each app in the snapshot."""
    # they are newest first, so the last write is the newest
    return [*{one.app_id: one for one in reversed(snapshot.deployments)}.values()]


def watches(reasons: Iterable[Reason]) -> bool:
    """Return whether an app follows the pushed ref, even if this push does not deploy it."""
    return any(reason not in SILENT and reason not in ELSEWHERE for reason in reasons)


def _label(
    app_id: str, snapshot: Snapshot, said: dict[str, Explained], deployed: dict[str, Deployment]
) -> str:
    """Return the app's name at that time, even if the app is gone."""
    if app_id in said:
        return said[app_id].decision.app
    if app_id in deployed:
        return deployed[app_id].app
    return snapshot.apps[app_id].label


# ── The one comment of a pull request: the current state of its apps ──────────────────────────────

NO_CHATS: Mapping[str, str] = {}

LONGEST = 65_536
"""GitHub's limit in characters; counted in bytes here, to be safe either way."""

_HEAD = ("App", "Environment", "State", "Deployed commit", "Duration", "Updated (UTC)")
_ICON = {
    State.WAITING: "⏳",
    State.HELD: "✋",
    State.ASKED: "⏳",
    State.QUEUED: "⏳",
    State.RUNNING: "🔨",
    State.VERIFYING: "🩺",
    State.DONE: "✅",
    State.UNHEALTHY: "🤒",
    State.FAILED: "❌",
    State.CANCELLED: "🚫",
    State.SUPERSEDED: "⏩",
    State.UNKNOWN: "❔",
}
_FOOT = "<sub>dokploy-bridge edits this comment in place · `dokploy-bridge why APP` says more</sub>"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?").fullmatch
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
    *,
    longest: int = LONGEST,
) -> str:
    """Render the whole comment; the same snapshot gives the same text.

    Args:
        chats: the word for a link to a card in each chat, by the chat's key.
        console: where links to logs and reasons lead; without one, to the backend's pages.
        longest: bytes; rows that do not fit are left out and counted.
    """
    found = standings(snapshot)
    head = [marker(instance), _summary(snapshot, found), ""]
    left = longest - _size([*head, _FOOT]) - _ROOM_FOR_NOTES
    shown = [_row(one.deployment, one, snapshot, chats, console) for one in found if one.deployment]
    table, left = _fitting(shown, left, "", "more apps; there is no room for them here.", _TABLE)
    why = [
        _why_failed(one.deployment) or _why_held(one.deployment) for one in found if one.deployment
    ]
    failed, left = _fitting([line for line in why if line], left, "- ", "more.", [])
    folded = [f"- {cell(one.label)}: {_why_not(one, console)}" for one in found if one.skipped]
    opening = [_summary_of(len(folded)), ""]
    skipped, left = _fitting(folded, left, "- ", "more.", opening, ["", "</details>", ""])
    return "\n".join([*head, *table, *failed, *skipped, _FOOT])


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


def _summary(snapshot: Snapshot, found: Sequence[Standing]) -> str:
    """Return a one-line summary, which also suits a mail or a notification."""
    states = Counter(
        GOING[one.deployment.state] for one in found if one.deployment and not one.skipped
    )
    said = [f"{states[word]} {word}" for word in dict.fromkeys(GOING.values()) if states[word]]
    if skipped := sum(one.skipped for one in found):
        said.append(f"{skipped} not deployed")
    counted = " · ".join(said)
    newest = snapshot.explained[0] if snapshot.explained else None
    if newest is None:
        return f"**Deployments**: {counted}"
    what = _commit(newest.commit)
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
    state = f"{_ICON[deployment.state]} {GOING[deployment.state]}"
    app = snapshot.apps.get(one.app_id)
    live = deployment.served
    links = [
        link("site", app.url) if app and live else "",
        link("log", console.deployment(deployment.id) or (app.page if app else None)),
        *(link(word, _card(deployment, snapshot, chat)) for chat, word in chats.items()),
    ]
    return row(
        (
            cell(one.label),
            cell(one.environment),
            " · ".join([state, *(made for made in links if made.startswith("["))]),
            _deployed(deployment),
            _duration(deployment),
            _moment(_updated(deployment)),
        )
    )


def _why_failed(deployment: Deployment) -> str:
    """Return why an app's deployment failed, as a list item; "" if it did not fail."""
    if deployment.state not in BAD or not deployment.note:
        return ""
    reason = shorten(redact(deployment.note[:MOST_CHARACTERS]), LONGEST_REASON)
    word = "failed" if deployment.state is State.FAILED else "is unhealthy"
    return f"- {cell(deployment.app)} {word}: {code(reason, LONGEST_REASON)}"


MOST_HOLDS = 5


def _why_held(deployment: Deployment) -> str:
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
        until = f" (until {_moment(max(at for at in opens if at is not None))} UTC)"
    return f"- {cell(deployment.app)} is held: {'; '.join(said)}{until}"


def reasons_of(deployment: Deployment) -> list[str]:
    """Return what holds a deployment, without secrets; nothing unless it is held."""
    if deployment.state is not State.HELD:
        return []
    return [redact(one.says[:MOST_CHARACTERS]) for one in deployment.holds]


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
    """Return the commit that the backend reports, and the pushed one if it differs."""
    if not deployment.served:
        return NOTHING
    live, pushed = deployment.deployed_commit, deployment.commit
    if live is None:
        return "not reported"
    return _commit(live) + (f" (pushed {_commit(pushed)})" if pushed not in (None, live) else "")


def _commit(sha: str | None) -> str:
    """Return seven digits, which the host links; format anything but an object id as code."""
    if sha is None:
        return NOTHING
    return sha[:7] if _SHA(sha) else cell(sha, 12)


def _updated(deployment: Deployment) -> float:
    times = (deployment.finished_at, deployment.started_at, deployment.asked_at)
    return next((at for at in times if at is not None), deployment.created_at)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


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
