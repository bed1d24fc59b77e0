"""Answers to commands: the state of apps, deployments and their reasons, refusals, errors."""

from collections.abc import Sequence

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    SECTION_TEXT,
    Block,
    Message,
    View,
    button,
    context,
    modal,
    section,
)
from bridge.chats.slack.facts import commit_of, joined, ref_of
from bridge.chats.slack.gates import held_lines
from bridge.chats.slack.mrkdwn import (
    NOTHING,
    clean,
    clean_lines,
    code,
    code_block,
    code_blocks,
    escape,
    moment,
    prose,
)
from bridge.chats.slack.views import ICONS, Mrkdwn
from bridge.core.apps import App
from bridge.core.decision import Reason
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import end_of
from bridge.core.masking import redact
from bridge.ports.outcomes import Explained
from bridge.views.apps import briefly
from bridge.views.deployments import NOTE
from bridge.views.links import Links
from bridge.views.states import verdict_of
from bridge.views.triggers import deploys_on

MOST_LINES = 15
LOG_BLOCKS = 8


def why(
    app: App,
    explained: Sequence[Explained],
    links: Links,
    remarks: Sequence[str] = (),
    *,
    gone: bool = False,
    held: Deployment | None = None,
) -> Message:
    """Render why pushes did or did not deploy an app, newest first.

    Args:
        gone: it was deleted at its backend, so nothing deploys it.
        held: the deployment that gates hold now.
        remarks: further hints, e.g. the nearest miss of its watch paths.
    """
    title = f"*Why {escape(app.label, 200)} was or was not deployed*"
    if not explained:
        nothing = "Nothing has come in for it yet: no push, no tag, no command."
        waits = "" if gone else f"\n{Mrkdwn(links).phrase(deploys_on(app))}"
        return Message(*_alike(f"{title}\n{nothing}{waits}"))
    blocks: list[Block] = [section(title)]
    if held is not None and (lines := held_lines(held)):
        head = joined(f"{ICONS[held.state]}  *Held*", Mrkdwn(links).phrase(briefly(held, app)))
        blocks.append(section("\n".join([head, *lines])))
    blocks += [_verdict(one, app, links) for one in explained[:MOST_LINES]]
    blocks += [context(f":bulb: {prose(one, 1000)}") for one in remarks[:3]]
    if not gone:
        blocks.append(context(Mrkdwn(links).phrase(deploys_on(app))))
    newest = explained[0].decision
    told = "deployed" if newest.deploy else "not deployed"
    text = f"{escape(app.label, 200)} {told}: {prose(newest.evidence, NOTE)}"
    return Message(text, tuple(blocks))


def _verdict(one: Explained, app: App, links: Links) -> Block:
    decision = one.decision
    sign, told = (":rocket:", "Deploys") if decision.deploy else (":fast_forward:", "Left alone")
    if decision.reason in (Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED):
        sign, told = ":no_entry_sign:", "Cancels"
    if decision.reason is Reason.CONFIGURE_ASKED:
        sign, told = ":gear:", "Configures"
    head = joined(
        f"{sign}  *{told}*  {code(decision.reason, 60)}",
        " ".join(filter(None, (ref_of(one.ref), commit_of(one.commit, app, links)))),
        moment(one.at),
    )
    return section(f"{head}\n{prose(decision.evidence, NOTE)}")


def log_view(deployment: Deployment, tail: str) -> View:
    """Return a modal with the end of a deployment's log, redacted."""
    head = f"{ICONS[deployment.state]}  *{escape(deployment.app, 200)}*"
    blocks: list[Block] = [section(f"{head} {verdict_of(deployment)}")]
    shown = clean_lines(redact(end_of(tail, MOST_CHARACTERS))).strip()
    if shown:
        blocks += [section(text) for text in code_blocks(shown, SECTION_TEXT, LOG_BLOCKS)]
        blocks.append(context("The end of the log; what looks like a secret is hidden."))
    else:
        blocks.append(section("The backend has no log of it, or can't show it now."))
    return modal(names.LOG_VIEW, "Log", blocks, close="Close")


def _alike(text: str) -> tuple[str, tuple[Block, ...]]:
    return text, (section(text),)


# ── refusals, errors ────────────────────────────────────────────────────────────────────────────

COMMAND = "/dokploy"
MOST_SUGGESTED = 5


def refused(right: str, target: str, *, why: str = "", grant: str = "") -> Message:
    """Render the refusal of a missing right.

    Args:
        right: the missing one, e.g. "deploy".
        target: an app's label, or another object; "" for none.
        why: the reason, without what the heading says.
        grant: the lines of `bridge.yaml` that would allow it.
    """
    what = f"{escape(right, 40)} {escape(target, 200)}".strip()
    said = f":lock:  *You may not {what}.*"
    if shown := _capital(prose(why, 1000)):
        said += f"\n{shown}"
    blocks: list[Block] = [section(said)]
    if grant:
        blocks.append(context("An administrator can allow it with these lines in `bridge.yaml`:"))
        blocks.append(section(code_block(grant, SECTION_TEXT)))
    return Message(f"You may not {what}.", tuple(blocks))


def problem(said: str, *, remedy: str = "") -> Message:
    """Render an error and its remedy."""
    shown = prose(said, 1500) or "Something went wrong."
    blocks: list[Block] = [section(f":warning:  {_capital(shown)}")]
    if mending := prose(remedy, 1000):
        blocks.append(context(mending))
    return Message(_capital(shown), tuple(blocks))


def notice(said: str) -> Message:
    """Render a plain success message, e.g. "kept; it waits for the backend"."""
    shown = _capital(prose(said, 1500)) or "Done."
    return Message(shown, (section(shown),))


def did_you_mean(said: str, commands: Sequence[str]) -> Message:
    """Render an error with suggested commands, each run by a click.

    Args:
        commands: complete texts after the slash command, e.g. "deploy shop/web".
    """
    shown = _capital(prose(said, 1000)) or NOTHING
    fitting = [one for one in commands if clean(one) == one and 0 < len(one) <= 200]
    blocks: list[Block] = [section(f":thinking_face:  {shown}")]
    if fitting:
        blocks.append(context("Did you mean"))
    blocks += [
        section(code(f"{COMMAND} {one}", 250), button("Run", names.SUGGEST_RUN, one))
        for one in fitting[:MOST_SUGGESTED]
    ]
    meant = ", ".join(escape(one, 100) for one in fitting[:MOST_SUGGESTED])
    return Message(f"{shown} Did you mean {meant}?" if meant else shown, tuple(blocks))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
