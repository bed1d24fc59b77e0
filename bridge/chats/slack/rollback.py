"""A rollback by chat: how it would be done, and the button that does it. Pure."""

from bridge.chats.slack import names
from bridge.chats.slack.blocks import Element, Message, actions, button, confirm, context, section
from bridge.chats.slack.facts import sentence
from bridge.chats.slack.mrkdwn import escape, plain, plain_middle, prose
from bridge.core.chat.replies import WayBackFound
from bridge.core.health.rollback import version_of

ICON = ":rewind:"

LONGEST_LINE = 500


def offer(reply: WayBackFound) -> Message:
    """Return how to go back, with a button that asks once more."""
    head = f"{ICON}  *{escape(reply.app.label, 200)}*: {prose(reply.says, LONGEST_LINE)}"
    notes = "\n".join(f"•  {sentence(one)}" for one in reply.warns)
    blocks = (section(head), context(notes), actions(_confirmed(reply)))
    return Message(f"Roll back {escape(reply.app.label, 200)}?", blocks)


def _confirmed(reply: WayBackFound) -> Element:
    version = plain(version_of(reply.to), 60)
    question = f"{plain_middle(reply.app.label, 100)} goes back to {version}."
    return button(
        "Roll back",
        names.ROLLBACK_RUN,
        f"{reply.way} {reply.to.id} {reply.served}",
        style="danger",
        confirm=confirm("Roll back?", question, "Roll back", "Not now", danger=True),
    )


def read_value(value: str) -> tuple[str, str, str]:
    """Return the way, the deployment to go back to and the one served, from the button's value."""
    way, to, served, *_ = [*value.split(" "), "", ""]
    return way, to, served
