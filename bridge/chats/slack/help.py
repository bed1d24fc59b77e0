"""Help about the commands."""

from collections.abc import Sequence

from bridge.chats.slack.answers import COMMAND
from bridge.chats.slack.blocks import Block, Message, context, paragraphs, section
from bridge.core.chat.replies import Usage

HELP: Sequence[Usage] = (Usage("help", "help [COMMAND]", "explains a command"),)
"""Commands of Slack alone."""

SHORT = {
    "deploy": ("APP[@BRANCH] [at TIME]", "Deploy the head of an app's branch"),
    "redeploy": ("APP", "Build the existing checkout again"),
    "rollback": ("APP [VERSION]", "Go back to an earlier version"),
    "cancel": ("APP", "Cancel an app's waiting and running deployments"),
    "provider": ("APP", "Configure where an app's code comes from"),
}
"""Operations that are slash commands of their own as well, with what Slack says of each."""


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
    blocks = (*paragraphs(lines, most=50), context(f"Short: {short}. {names_}"))
    return Message(f"{COMMAND} {' | '.join(one.name for one in known)}", blocks)
