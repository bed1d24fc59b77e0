"""Answers to commands: refusals, errors, notices."""

from collections.abc import Sequence

from bridge.chats.slack import names
from bridge.chats.slack.blocks import SECTION_TEXT, Block, Message, button, context, section
from bridge.chats.slack.mrkdwn import NOTHING, clean, code, code_block, escape, prose

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
