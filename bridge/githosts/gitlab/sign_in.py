"""Sign in with GitLab, which is an OpenID provider.

https://docs.gitlab.com/integration/openid_connect_provider/
"""

import re
from typing import TYPE_CHECKING

from bridge.core.access import Access, Person
from bridge.core.errors import Refused
from bridge.oauth.discovery import Issuer
from bridge.oauth.http import Asks, Client
from bridge.oauth.openid import OpenId, name_of
from bridge.ports.sign_in import Challenge, Returned, SignsIn

if TYPE_CHECKING:
    from bridge.githosts.gitlab.settings import Gitlab

TITLE = "GitLab"

_USERNAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII).fullmatch


class GitlabSignIn(OpenId):
    """A `SignsIn` by GitLab's ID token and userinfo, which has all groups."""

    def __init__(self, issuer: Issuer, client: Client, access: Access) -> None:
        super().__init__(issuer, client, ("profile", "email"))
        self._access = access

    async def person(self, challenge: Challenge, returned: Returned) -> Person:
        claims = await self.claims(challenge, returned)
        username = claims.text("preferred_username", "nickname")
        if not _USERNAME(username):
            raise Refused(TITLE, "it does not say who signed in: allow the application `profile`")
        groups = {f"gitlab:@{group.lower()}" for group in claims.texts("groups")}
        return Person(
            f"gitlab:{username.lower()}",
            name_of(username),
            claims.email,
            self._access.named & groups | {f"gitlab:#{claims.subject}"},
            member=False,
        )


def opened(settings: "Gitlab", access: Access) -> SignsIn | None:
    """Return the way to sign in; None if it is not set up."""
    given = settings.sign_in
    if given.client_id is None or given.client_secret is None:
        return None
    client = Client(given.client_id, given.client_secret.get_secret_value(), "gitlab.sign_in")
    address = (settings.web_url or settings.url).rstrip("/")
    issuer = Issuer(Asks(TITLE, ca=settings.ca), address, "gitlab.url or gitlab.web_url")
    return GitlabSignIn(issuer, client, access)
