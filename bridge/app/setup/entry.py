"""Access to setup: a one-time link, then a cookie."""

from typing import TYPE_CHECKING

from bridge.web.browsers import Cookie, hash_of, new_secret

if TYPE_CHECKING:
    from bridge.ports.journal import Sessions

LINK, SESSION, STATE = "setup link", "setup session", "setup state"
GIVEN = "setup link given"
"""Kinds of what is kept; see `ports.journal.Sessions`."""

LINK_SECONDS = 30 * 60.0
GIVEN_SECONDS = 7 * 24 * 3600.0
"""Seconds for which a used or expired link is remembered, to tell it from a guess."""

SESSION_SECONDS = 12 * 3600.0
STATE_SECONDS = 3600.0
"""As long as the code of a registration works."""

COOKIE = Cookie("bridge-setup", SESSION_SECONDS)
"""Keeps the secret of a session."""

PATH = "/setup"


async def new_link(sessions: "Sessions", url: str) -> str:
    """Return a link that lets one browser in, once, within half an hour."""
    link = new_secret()
    await sessions.admit(LINK, hash_of(link), LINK_SECONDS)
    await sessions.admit(GIVEN, hash_of(GIVEN, link), GIVEN_SECONDS)
    return f"{url.rstrip('/')}{PATH}?link={link}"


async def redeem(sessions: "Sessions", link: str) -> str | None:
    """Return the secret of a new session; None if the link is used, too old, or none of ours."""
    if await sessions.redeem(LINK, hash_of(link)) is None:
        return None
    session = new_secret()
    await sessions.admit(SESSION, hash_of(session), SESSION_SECONDS)
    return session


async def was_given(sessions: "Sessions", link: str) -> bool:
    """Return whether a link is one of ours, used, too old or not."""
    return await sessions.admitted(GIVEN, hash_of(GIVEN, link)) is not None


async def is_in(sessions: "Sessions", session: str | None) -> bool:
    """Return whether a session is valid."""
    return bool(session) and await sessions.admitted(SESSION, hash_of(session or "")) is not None


async def leave(sessions: "Sessions") -> None:
    """End all sessions."""
    await sessions.expel(SESSION)


async def new_state(sessions: "Sessions", session: str) -> str:
    """Return the state of a registration: it comes back once, to the same session."""
    state = new_secret()
    await sessions.admit(STATE, hash_of(state, session), STATE_SECONDS)
    return state


async def is_state(sessions: "Sessions", state: str, session: str) -> bool:
    """Return whether a state was given to this session and has not come back yet."""
    return await sessions.redeem(STATE, hash_of(state, session)) is not None
