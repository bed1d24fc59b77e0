"""How Discord is connected: the webhook of a channel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.core.errors import Rejected
from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.chats.discord.settings import Discord


async def _tries(_name: str, settings: "Discord") -> Sequence[str]:
    from bridge.chats.discord.api import asked

    answers = await asked(settings.api_url, settings.named())
    if not answers:
        raise Rejected("give the address of a webhook")
    for error in answers.values():
        if error is not None:
            raise error
    many = len(answers) != 1
    return (f"Discord knows the webhook{'s' if many else ''} of {', '.join(answers)}",)


SETUP = Setup(
    gives="shows each deployment in a channel",
    credentials=("webhook", "webhooks"),
    fields=(
        SetupField(
            "webhook",
            "Webhook URL",
            "in Discord: the channel's settings, Integrations, Webhooks, Copy Webhook URL",
            secret=True,
        ),
    ),
    tries=_tries,
)
