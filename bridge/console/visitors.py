"""The visitors of the console: one-time links, sign-ins and sessions.

Only hashes of secrets are stored, so a copy of the data lets nobody in.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bridge.core.access import Access, Grant, Person, Right
from bridge.web.browsers import Cookie, hash_of, new_secret

if TYPE_CHECKING:
    from bridge.ports.journal import Sessions

LINK, SESSION, SIGNING_IN = "console link", "console session", "console sign-in"
"""Kinds of stored secrets; see `ports.journal.Sessions`."""

LINK_SECONDS = 10 * 60.0
SESSION_SECONDS = 12 * 3600.0
SIGNING_IN_SECONDS = 10 * 60.0
"""Seconds for the way to another service and back."""

COOKIE = Cookie("bridge-console", SESSION_SECONDS)
"""Keeps the secret of a session."""

PATH = "/console"

OWNER = "console:owner"
"""The id of whoever came by a link: only somebody with a shell on the server can print one."""


def with_owner(access: Access) -> Access:
    """Return the grants plus one for the owner of the server, who may do everything."""
    return Access((*access.grants, Grant((OWNER,), frozenset(Right))))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a session.

    Attributes:
        how: how they signed in, e.g. "link", "github".
    """

    person: Person
    how: str

    @property
    def owns(self) -> bool:
        """True for somebody who came by a link from the server itself."""
        return self.person.id == OWNER


BY_LINK = Visitor(Person(OWNER, "owner"), "link")


# ── links and sessions ───────────────────────────────────────────────────────────────────────────


async def new_link(sessions: "Sessions", url: str) -> str:
    """Return a link that lets one browser in as the owner, once, within ten minutes.

    Args:
        url: where the bridge is reached.
    """
    link = new_secret()
    await sessions.admit(LINK, hash_of(link), LINK_SECONDS)
    return f"{url.rstrip('/')}{PATH}/sign-in/link?link={link}"


async def redeem_link(sessions: "Sessions", link: str) -> bool:
    """Use up a link; return whether it was valid."""
    return await sessions.redeem(LINK, hash_of(link)) is not None


async def begin(sessions: "Sessions", visitor: Visitor) -> str:
    """Begin a session; return its secret."""
    secret = new_secret()
    await sessions.admit(
        SESSION,
        hash_of(secret),
        SESSION_SECONDS,
        about=json.dumps(_form_of(visitor)),
        whose=visitor.person.id,
    )
    return secret


async def visitor_with(sessions: "Sessions", secret: str | None) -> Visitor | None:
    """Return the visitor of a session; None if it is invalid or has expired."""
    if not secret:
        return None
    about = await sessions.admitted(SESSION, hash_of(secret))
    return None if about is None else _visitor(json.loads(about))


async def leave(sessions: "Sessions", secret: str) -> None:
    """End one session."""
    await sessions.expel(SESSION, hashed=hash_of(secret))


async def leave_everywhere(sessions: "Sessions", visitor: Visitor) -> None:
    """End all sessions of a person."""
    await sessions.expel(SESSION, whose=visitor.person.id)


def _form_of(visitor: Visitor) -> dict[str, Any]:
    person = visitor.person
    return {
        "how": visitor.how,
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "groups": sorted(person.groups),
        "member": person.member,
        "stranger": person.stranger,
        "chat": person.chat,
    }


def _visitor(form: Mapping[str, Any]) -> Visitor:
    person = Person(
        form["id"],
        form["name"],
        form["email"],
        frozenset(form["groups"]),
        stranger=form["stranger"],
        member=form["member"],
        chat=form["chat"],
    )
    return Visitor(person, form["how"])


def inside(place: str) -> str:
    """Return a page of the console to show next; never another site."""
    parts = urlsplit(place)
    inside = not parts.scheme and not parts.netloc and "\\" not in place and place.isprintable()
    return place if inside and (parts.path == PATH or parts.path.startswith(f"{PATH}/")) else PATH
