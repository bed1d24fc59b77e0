"""Sign in with Slack: only people of the bot's workspace, with the rights that they have in chat.

https://docs.slack.dev/authentication/sign-in-with-slack/
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.chats.slack.api import People, SlackClient
from bridge.core.access import Access, Person
from bridge.core.errors import Refused, Rejected, Unreachable
from bridge.oauth.discovery import Issuer
from bridge.oauth.http import Asks, Client
from bridge.oauth.openid import OpenId
from bridge.ports.sign_in import Challenge, Returned, SignsIn

if TYPE_CHECKING:
    from bridge.chats.slack.settings import Slack

TITLE = "Slack"

USER, TEAM = "https://slack.com/user_id", "https://slack.com/team_id"
"""Claims of its ID tokens."""

_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}").fullmatch


class SlackSignIn:
    """A `SignsIn` by Slack's ID token; the bot looks up what grants need of the person."""

    title = TITLE

    def __init__(self, openid: OpenId, bot_token: str, api_url: str, access: Access) -> None:
        self._openid = openid
        self._bot_token = bot_token
        self._api_url = api_url
        self._access = access

    async def address(self, challenge: Challenge) -> str:
        return await self._openid.address(challenge)

    async def check(self) -> None:
        await self._openid.check()

    async def person(self, challenge: Challenge, returned: Returned) -> Person:
        claims = await self._openid.claims(challenge, returned, more=False)
        user, team = claims.text(USER, "sub"), claims.text(TEAM)
        if not _USER_ID(user):
            raise Refused(TITLE, "its ID token names nobody")
        client = SlackClient(self._bot_token, self._api_url)
        people = People(client, self._access)
        try:
            home = (await client.call("auth.test")).text("team_id")
            if not home or team != home:
                raise Rejected(
                    "You signed in to a different workspace from the bridge's: sign in again,"
                    " and choose the bridge's in Slack."
                )
            found = await people.who(user, home, team)
        finally:
            await people.close()
            await client.close()
        if found.unsure:
            raise Unreachable(TITLE, "who you are there could not be found out; sign in again")
        return replace(found, chat="slack")


def opened(settings: "Slack", access: Access) -> SignsIn | None:
    """Return the way to sign in; None if it is not set up."""
    given = settings.sign_in
    if given.client_id is None or given.client_secret is None or settings.bot_token is None:
        return None
    client = Client(given.client_id, given.client_secret.get_secret_value(), "slack.sign_in")
    parts = urlsplit(settings.api_url)
    issuer = Issuer(Asks(TITLE), f"{parts.scheme}://{parts.netloc}", "slack.api_url")
    openid = OpenId(issuer, client, ())  # the bot looks up the rest
    bot_token = settings.bot_token.get_secret_value()
    return SlackSignIn(openid, bot_token, settings.api_url, access)
