"""What `doctor` checks at Discord: whether each webhook is still there."""

from collections.abc import AsyncIterator

from bridge.chats.discord.api import asked
from bridge.ports.checks import Checked, Finding, Level


async def checks(checked: Checked) -> AsyncIterator[Finding]:
    """Yield what is found at Discord; see `ports.checks.Checks`."""
    for name, error in (await asked(checked.settings.api_url, checked.settings.named())).items():
        about = f"{checked.name} {name}"
        if error is None:
            yield Finding(Level.OK, "chat.channel", about, "cards can be shown there")
        else:
            remedy = "make a new webhook in the channel's settings, and set its address"
            yield Finding(Level.ERROR, "chat.channel", about, str(error), remedy)
