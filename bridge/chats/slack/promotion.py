"""A promotion by chat: what it brings, and the button that does it. Pure."""

from bridge.chats.facts.links import Links
from bridge.chats.slack import names
from bridge.chats.slack.blocks import Element, Message, actions, button, confirm, context, section
from bridge.chats.slack.facts import sentence
from bridge.chats.slack.mrkdwn import escape, link, plain, plain_middle
from bridge.core.gates.promotion import Promotion
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import Deployment

ICON = ":arrow_up:"

MOST_NEWS = 10


def offer(found: Promotion, links: Links) -> Message:
    """Return what a promotion would bring, with a button that asks once more."""
    head = f"{ICON}  *{escape(found.to.label, 200)}*: {sentence(found.says)}"
    notes = "\n".join(f"•  {sentence(one)}" for one in found.warns)
    blocks = [section(head)]
    if news := _news(found):
        blocks.append(section(news))
    has = found.served.commit if found.served else None
    if compared := links.compare(found.from_, has, found.version.deployed_commit):
        blocks.append(context(link(compared, "Compare")))
    blocks += [context(notes), actions(_confirmed(found))]
    return Message(f"Promote to {escape(found.to.label, 200)}?", tuple(blocks))


def _news(found: Promotion) -> str:
    """Return what the first app has that the second one has not."""
    if found.news is None:
        return "It runs a version that the other app is not known to have had."
    more = len(found.news) - MOST_NEWS
    lines = [_line(one) for one in found.news[:MOST_NEWS]]
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def _line(one: Deployment) -> str:
    first = escape((one.message or "").split("\n", 1)[0], 120)
    by = f" ({escape(one.author, 60)})" if one.author else ""
    return f"•  `{escape(version_of(one), 60)}` {first}{by}"


def _confirmed(found: Promotion) -> Element:
    version = plain(version_of(found.version), 60)
    question = f"{plain_middle(found.to.label, 100)} gets {version}."
    return button(
        "Promote",
        names.PROMOTION_RUN,
        f"{found.rung} {found.version.id} {found.to.id}",
        style="primary",
        confirm=confirm("Promote?", question, "Promote", "Not now"),
    )


def read_value(value: str) -> tuple[str, str, str]:
    """Return the way, the deployment whose version is promoted, and the app that gets it."""
    way, _, rest = value.partition(" ")
    version, _, app_id = rest.partition(" ")
    return way, version, app_id
