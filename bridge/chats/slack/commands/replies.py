"""What the door itself answers: help, refusals, errors, and what was probably meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import SECTION_TEXT, button, context, section
from bridge.chats.slack.drawing.messages import Block, Message
from bridge.chats.slack.drawing.mrkdwn import NOTHING, clean, code, code_block, escape, prose

COMMAND = "/dokploy"
MOST_SUGGESTED = 5
MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Help:
    """What a command does, and how it is written; mrkdwn of ours."""

    usage: str
    does: str
    more: str = ""


HELP: Mapping[str, Help] = {
    "deploy": Help(
        "deploy APP[@BRANCH]",
        "deploys the head of the app's branch",
        "The backend builds the branch that the app is configured with; `@BRANCH` only makes"
        " sure that it is the one you mean. Without APP you pick one.",
    ),
    "redeploy": Help(
        "redeploy APP",
        "builds again what is checked out, and fetches nothing",
    ),
    "cancel": Help(
        "cancel APP",
        "cancels what waits, and what runs where the backend can",
        "What is live stays live.",
    ),
    "status": Help(
        "status [APP]",
        "says how an app stands, or all of them",
    ),
    "history": Help("history APP", "lists an app's newest deployments"),
    "why": Help(
        "why APP [COMMIT]",
        "says why pushes did or did not deploy an app",
        "With a commit only what that one led to.",
    ),
    "apps": Help("apps [FILTER]", "lists the apps that you may see"),
    "provider": Help(
        "provider APP",
        "configures an app's source, trigger and build",
        "You see what changes before anything is saved, and can undo it.",
    ),
    "whoami": Help("whoami", "says who you are here, and what you may do"),
    "help": Help("help [COMMAND]", "tells more about a command"),
}
"""By command, in the order in which help lists them."""

SHORT = ("deploy", "redeploy", "cancel", "provider")
"""Those that are commands of their own as well, as in `/deploy APP`."""


def help_about(command: str | None = None) -> Message:
    """All commands, or one of them; all where there is no such command."""
    one = HELP.get(command or "")
    if one is None or command is None:
        return _all_commands()
    usage = f"`{COMMAND} {one.usage}`"
    lines = [f"{usage}  {one.does}."]
    if one.more:
        lines.append(one.more)
    blocks: list[Block] = [section("\n".join(lines))]
    if command in SHORT:
        blocks.append(context(f"Shorter: `/{one.usage}`"))
    return Message(f"{COMMAND} {one.usage}: {one.does}", tuple(blocks))


def _all_commands() -> Message:
    lines = [f"`{COMMAND} {one.usage}`  {one.does}" for one in HELP.values()]
    short = ", ".join(f"`/{command}`" for command in SHORT)
    names_ = "APP is a name as `shop/web`, or its beginning where only one app has it."
    blocks = (section("\n".join(lines)), context(f"Short: {short}. {names_}"))
    return Message(f"{COMMAND} {' | '.join(HELP)}", blocks)


def whoami(who: str, rights: Mapping[str, Sequence[str]], apps: int) -> Message:
    """What a person may do.

    Args:
        rights: the labels of the apps by right, as "deploy".
        apps: how many apps there are.
    """
    lines = [
        f"{':white_check_mark:' if labels else ':no_entry_sign:'}  *{escape(right, 40)}*"
        f"  ·  {_named(labels, apps)}"
        for right, labels in rights.items()
    ]
    name = escape(who, 200) or NOTHING
    blocks = (section(f"You are {name}."), section("\n".join(lines) or NOTHING))
    may = [right for right, labels in rights.items() if labels]
    text = f"You are {name}; you may {escape(', '.join(may), 200) or 'do nothing here'}"
    return Message(text, blocks)


def _named(labels: Sequence[str], apps: int) -> str:
    if not labels:
        return "nothing"
    if len(labels) == apps > 1:
        return f"all {apps} apps"
    shown = ", ".join(escape(one, 60) for one in labels[:MOST_NAMED])
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return shown + more


def refused(right: str, target: str, *, why: str = "", grant: str = "") -> Message:
    """That somebody may not do something.

    Args:
        right: the missing one, as "deploy".
        target: an app's label, or what else it is about; "" where it is about nothing.
        why: the rule that refused, in words.
        grant: the lines of `bridge.yaml` that would allow it.
    """
    what = f"{escape(right, 40)} {escape(target, 200)}".strip()
    said = f":lock:  *You may not {what}.*"
    # The heading has said the first half of it already.
    if shown := _capital(prose(why.removeprefix(f"You may not {right} {target}: "), 1000)):
        said += f"\n{shown}"
    blocks: list[Block] = [section(said)]
    if grant:
        blocks.append(context("Whoever keeps `bridge.yaml` can allow it with these lines:"))
        blocks.append(section(code_block(grant, SECTION_TEXT)))
    return Message(f"You may not {what}.", tuple(blocks))


def problem(said: str, *, remedy: str = "") -> Message:
    """That something did not work, and how to mend it."""
    shown = prose(said, 1500) or "Something went wrong."
    blocks: list[Block] = [section(f":warning:  {_capital(shown)}")]
    if mending := prose(remedy, 1000):
        blocks.append(context(mending))
    return Message(_capital(shown), tuple(blocks))


def notice(said: str) -> Message:
    """A plain answer that all went well, as "kept; it waits for the backend"."""
    shown = _capital(prose(said, 1500)) or "Done."
    return Message(shown, (section(shown),))


def did_you_mean(said: str, commands: Sequence[str]) -> Message:
    """What was wrong, and what was probably meant, to be run with a click.

    Args:
        commands: whole texts after the slash command, e.g. "deploy shop/web".
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
