"""The visitors of the console: one-time links, sessions, and signing in with another service.

Only hashes of secrets are stored, so a copy of the data lets nobody in.
"""

import hmac
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.listening.log import RateLimitedLog
from bridge.ports.sign_in import Challenge, Returned, SignsIn
from bridge.web.browsers import Cookie, hash_of, new_secret, origin_of

if TYPE_CHECKING:
    from aiohttp import web

    from bridge.ports.journal import Notes, Sessions

    class SignInJournal(Notes, Sessions, Protocol):
        """What signing in uses of the journal."""


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
    """Somebody with a session, and how they signed in, e.g. "link", "github"."""

    person: Person
    how: str

    @property
    def owns(self) -> bool:
        """True for somebody who came by a link from the server itself."""
        return self.person.id == OWNER


BY_LINK = Visitor(Person(OWNER, "owner"), "link")


# ── links and sessions ───────────────────────────────────────────────────────────────────────────


async def new_link(sessions: "Sessions", url: str) -> str:
    """Return a link that lets one browser in as the owner, once, within ten minutes."""
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


# ── Signing in with another service: out with a state and a challenge, back with a code ───────────

_sparing = RateLimitedLog(logging.getLogger(__name__))

SIGNS_WITH = "HS256"
"""The algorithm of our own cookies; only this installation has the key."""

BEGUN = Cookie("bridge-sign-in", SIGNING_IN_SECONDS)
"""Keeps the sign-in that a browser has begun."""

LONGEST_THEN = 1000
"""Characters of the page to return to; browsers keep cookies of 4 KB."""

BEGIN_AGAIN = "This sign-in was not begun here, was used, or was begun too long ago: begin again."

_PLAIN_WORD = re.compile(r"[a-z_]{1,40}").fullmatch


class SignIn:
    """The ways to sign in that are set up.

    The state is in the address and in a cookie, so nobody can be made to sign in as somebody else.
    The cookie is signed and holds all that the way back needs: nothing is written for whoever only
    begins.
    """

    def __init__(self, ways: Mapping[str, SignsIn], public_url: str | None) -> None:
        self._ways = ways
        self._public_url = public_url
        self._key: str | None = None

    @property
    def ways(self) -> dict[str, str]:
        """The title of each way, by its key."""
        return {key: way.title for key, way in self._ways.items()}

    async def begin(
        self, journal: "SignInJournal", request: "web.Request", key: str, then: str
    ) -> tuple[str, str]:
        """Return where to send the browser, and the cookie that it must bring back."""
        way = self._way(key)
        state, verifier, nonce = (new_secret() for _ in range(3))
        challenge = Challenge(
            back_to(self._public_url or origin_of(request), key), state, verifier, nonce
        )
        with _failures_logged(key):
            address = await way.address(challenge)
        then = then if len(then) <= LONGEST_THEN else PATH
        return address, await self._sealed(journal, key, challenge, then)

    async def finish(
        self, journal: "SignInJournal", request: "web.Request", key: str
    ) -> tuple[Visitor, str]:
        """Return the visitor who has come back, and the page that they wanted.

        Raises:
            Rejected: the state is not that of this browser, was used, or the person declined.
            Refused, Unreachable: see `SignsIn.person`.
        """
        way = self._way(key)
        with _failures_logged(key):
            begun = await self._begun(journal, request, key)
            code = _code_in(request.query, way.title)
            used = hash_of(begun["state"])
            if await journal.admitted(SIGNING_IN, used) is not None:
                raise Rejected(BEGIN_AGAIN)
            challenge = Challenge(begun["back"], begun["state"], begun["verifier"], begun["nonce"])
            person = await way.person(challenge, Returned(code, request.query.get("iss", "")))
            await journal.admit(SIGNING_IN, used, SIGNING_IN_SECONDS)
        return Visitor(person, key), begun["then"]

    def _way(self, key: str) -> SignsIn:
        if key not in self._ways:
            raise NotFound("There is no such way to sign in.")
        return self._ways[key]

    async def _sealed(
        self, journal: "SignInJournal", key: str, challenge: Challenge, then: str
    ) -> str:
        import jwt

        about = {
            "way": key,
            "back": challenge.back,
            "state": challenge.state,
            "verifier": challenge.verifier,
            "nonce": challenge.nonce,
            "then": then,
            "exp": time.time() + SIGNING_IN_SECONDS,
        }
        return jwt.encode(about, await self._secret(journal), SIGNS_WITH)

    async def _begun(
        self, journal: "SignInJournal", request: "web.Request", key: str
    ) -> Mapping[str, Any]:
        """Return the sign-in that this browser has begun; raise Rejected if another comes back."""
        import jwt

        try:
            begun: dict[str, Any] = jwt.decode(
                BEGUN.in_(request) or "",
                await self._secret(journal),
                algorithms=[SIGNS_WITH],
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError:
            raise Rejected(BEGIN_AGAIN) from None
        given = request.query.get("state", "")
        if begun["way"] != key or not hmac.compare_digest(
            given.encode(errors="replace"), begun["state"].encode()
        ):
            raise Rejected(BEGIN_AGAIN)
        return begun

    async def _secret(self, journal: "SignInJournal") -> str:
        if self._key is None:
            self._key = await journal.secret(SIGNING_IN)
        return self._key


@contextmanager
def _failures_logged(key: str) -> Iterator[None]:
    try:
        yield
    except BridgeError as error:
        _sparing.warning("somebody could not sign in to the console", way=key, why=str(error))
        raise


def back_to(here: str, key: str) -> str:
    """Return the callback address of a way, to be registered at its service."""
    return f"{here.rstrip('/')}{PATH}/sign-in/{key}/back"


def _code_in(query: Mapping[str, str], title: str) -> str:
    """Return the code that came back; raise Rejected if there is none."""
    if (error := query.get("error")) is not None:
        if error == "access_denied":
            raise Rejected(f"{title} did not sign you in: you, or an administrator, declined.")
        said = f" ({error})" if _PLAIN_WORD(error) else ""
        raise Rejected(
            f"{title} did not sign you in{said}: check how the bridge is registered there."
        )
    if not (code := query.get("code")):
        raise Rejected(f"{title} did not sign you in: it sent no code. Sign in again.")
    return code
