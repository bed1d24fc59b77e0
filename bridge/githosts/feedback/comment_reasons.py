"""The reasons below a comment's tables: why apps are held, failed or skipped. Pure.

Reasons and logs are untrusted, and may have secrets: they are masked, and shown as code.
"""

from collections.abc import Callable, Sequence

from bridge.core.apps import App
from bridge.core.failure import LONGEST_REASON, MOST_CHARACTERS
from bridge.core.health.fate import note_now
from bridge.core.holds import Hold, Proposal, proposal_in
from bridge.core.lifecycle import BAD, Deployment, State
from bridge.core.log_text import end_of, lines_of, shorten
from bridge.core.masking import redact
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import NEEDS, Act, Why
from bridge.githosts.feedback.markdown import cell, code, code_block, commit, link, moment
from bridge.githosts.feedback.statuses import Standing, one_line, reasons_of
from bridge.ports.feedback import Snapshot
from bridge.views.decisions import IN_WORDS
from bridge.views.links import ConsolePages

Compares = Callable[[App | None, str | None, str | None], str | None]
"""Returns the page that compares two commits of an app's repository; None if it is not known."""


def nothing(_app: App | None, _old: str | None, _new: str | None) -> None:
    """Compare nothing: no page is known."""


LONGEST_NOTE = 300

MOST_LINES = 5
"""Lines of evidence, reasons of a hold, or files of a proposal; the others are counted or cut."""

MOST_LOGS = 3
"""Failed apps whose logs are shown; of others only the failing line is."""

LOG_LINES = 20
"""Lines at the end of the log of what failed."""


def why_failed(deployment: Deployment, snapshot: Snapshot, *, log: bool) -> str:
    """Return why an app's deployment failed, as a list item; "" if it did not fail.

    Args:
        log: with the end of a failed build's log.
    """
    if deployment.state not in BAD or not deployment.note:
        return ""
    fate = snapshot.fates.get(deployment.id)
    note = note_now(deployment, fate)
    reason = shorten(redact(note[:MOST_CHARACTERS]), LONGEST_REASON)
    if deployment.state is State.FAILED:
        said = f"- {cell(deployment.app)} failed: {code(reason, LONGEST_REASON)}"
        return "\n".join([said, *(_folded_log(deployment) if log else [])])
    past = fate is not None and not fate.live
    said = f"- {cell(deployment.app)} {'was' if past else 'is'} unhealthy:"
    said += f" {code(reason, LONGEST_REASON)}"
    if fate is not None and past:
        said += f"; {cell(fate.says)}"
    # Its evidence, without the first line, which the note repeats.
    lines = redact((deployment.log_tail or "")[:MOST_CHARACTERS]).split("\n")[1:]
    seen = [one_line(line, LONGEST_REASON) for line in lines if line.strip()][:MOST_LINES]
    return "\n".join([said, "", *(f"      {line}" for line in seen), ""]) if seen else said


def _folded_log(deployment: Deployment) -> list[str]:
    """Return the end of the log, folded, inside a list item; nothing if there is no more to it."""
    lines = lines_of(redact(end_of(deployment.log_tail or "", MOST_CHARACTERS)))
    shown = code_block(lines[-LOG_LINES:], indent="  ")
    if not shown:
        return []
    opening = "  <details><summary>The end of its log</summary>"
    return ["", opening, "", *shown, "", "  </details>", ""]


def why_held(
    deployment: Deployment, app: App | None, compare: Compares, console: ConsolePages
) -> str:
    """Return what holds an app's deployment, as a list item; "" if nothing does."""
    reasons = reasons_of(deployment)
    if not reasons:
        return ""
    holds = zip(deployment.holds, reasons, strict=True)
    said = [_reason(*hold) for hold in list(holds)[:MOST_LINES]]
    if (more := len(reasons) - MOST_LINES) > 0:
        said.append(f"and {more} more")
    since = f" since {moment(deployment.held_at)} UTC" if deployment.held_at is not None else ""
    proposal = proposal_in(deployment.holds)
    asks = _to_approve(proposal, app, compare)
    way = "Approve…" if proposal is not None else "Deploy anyway…"
    form = _only_link(way, console.deployment(deployment.id))
    ends = f". {form}" if form else ""
    return f"- {cell(deployment.app)} is held{since}: {'; '.join(said)}{asks}{ends}"


def _reason(hold: Hold, says: str) -> str:
    """Return a reason to hold it, until when, and which right lifts it sooner."""
    until = f"until {moment(hold.until)} UTC, " if hold.until is not None else ""
    return f"{code(says, LONGEST_REASON)} ({until}lifted by {code(hold.may_lift)})"


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


def why_not(app: Standing, console: ConsolePages) -> str:
    """Return why the newest push did not deploy an app, as a list item."""
    assert app.newest is not None
    decision = app.newest.decision
    words = IN_WORDS.get(decision.reason, decision.reason.replace("_", " "))
    page = _only_link("more", console.delivery(app.newest.seq))
    more = f", {page}" if page else ""
    return f"- {cell(app.label)}: {words} ({code(decision.evidence, 300)}{more})"


def _only_link(words: str, url: str | None) -> str:
    made = link(words, url)
    return made if made != words else ""


# ── Previews ────────────────────────────────────────────────────────────────────────────────────


def preview_notes(previews: Sequence[Preview], console: ConsolePages) -> list[str]:
    """Return what keeps previews, and why there are none, as list items."""
    return [
        f"- {cell(preview.app)} {why}: {code(redact(preview.note), LONGEST_NOTE)}"
        + _who_approves(preview, console)
        for preview in previews
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


def _who_approves(preview: Preview, console: ConsolePages) -> str:
    """Return who may approve a fork's commit, and how; "" unless it waits for that."""
    if preview.state is not PreviewState.HELD or preview.reason != Why.APPROVAL:
        return ""
    right, typed = code(NEEDS[Act.APPROVE]), code(f"previews approve {preview.name}")
    form = _only_link("Approve…", console.previews(preview.app))
    how = f"{form}, or in a chat" if form else "in a chat"
    return f". Whoever has the right {right} to the app approves it: {how} {typed}"
