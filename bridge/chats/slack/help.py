"""Help about the commands, and what a person may do."""

from collections.abc import Mapping, Sequence

from bridge.chats.slack.answers import COMMAND
from bridge.chats.slack.blocks import Block, Message, context, section
from bridge.chats.slack.mrkdwn import NOTHING, escape
from bridge.core.chat.replies import Usage

MOST_NAMED = 8


HELP: Sequence[Usage] = (
    Usage(
        "status",
        "status [APP]",
        "shows the state of an app, or of all",
    ),
    Usage("history", "history APP", "lists an app's newest deployments"),
    Usage(
        "why",
        "why APP [COMMIT]",
        "explains why pushes did or did not deploy an app",
        "With a commit, only for that commit.",
    ),
    Usage("apps", "apps [FILTER]", "lists the apps that you may see"),
    Usage(
        "provider",
        "provider APP",
        "configures an app's source, trigger and build",
        "You see what changes before anything is saved, and can undo it.",
    ),
    Usage(
        "previews",
        "previews [APP]",
        "lists the previews of pull requests",
        "`previews stop PREVIEW` removes one, `previews extend PREVIEW` keeps it or starts it"
        " again, `previews approve PREVIEW COMMIT` has exactly that commit of a fork built."
        " PREVIEW is the app and the number of the pull request, e.g. `shop/web#12`.",
    ),
    Usage("whoami", "whoami", "shows who you are here, and what you may do"),
    Usage("help", "help [COMMAND]", "explains a command"),
)
"""Commands not yet declared as operations, in the order of the help text."""

SHORT = ("deploy", "redeploy", "cancel", "provider")
"""Commands that also exist on their own, such as `/deploy APP`."""


def help_about(command: str | None = None, operations: Sequence[Usage] = ()) -> Message:
    """Return help for all commands, or for one; for all if there is no such command."""
    known = (*HELP, *operations)
    one = next((one for one in known if one.name == command), None)
    if one is None:
        return _all_commands(known)
    usage = f"`{COMMAND} {one.usage}`"
    lines = [f"{usage}  {one.does}."]
    if one.more:
        lines.append(one.more)
    blocks: list[Block] = [section("\n".join(lines))]
    if command in SHORT:
        blocks.append(context(f"Shorter: `/{one.usage}`"))
    return Message(f"{COMMAND} {one.usage}: {one.does}", tuple(blocks))


def _all_commands(known: Sequence[Usage]) -> Message:
    lines = [f"`{COMMAND} {one.usage}`  {one.does}" for one in known]
    short = ", ".join(f"`/{command}`" for command in SHORT)
    names_ = "APP is a name such as `shop/web`, or the start of one if only one app fits."
    blocks = (section("\n".join(lines)), context(f"Short: {short}. {names_}"))
    return Message(f"{COMMAND} {' | '.join(one.name for one in known)}", blocks)


def whoami(who: str, rights: Mapping[str, Sequence[str]], apps: int) -> Message:
    """Render what a person may do.

    Args:
        rights: labels of apps by right, e.g. "deploy".
        apps: the number of all apps.
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
