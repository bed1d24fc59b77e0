"""Hosts that are connected with one token: how people set it up, and whether it is accepted."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices, Field

from bridge.core.errors import Rejected
from bridge.githosts.base.answers import Answer, read
from bridge.githosts.base.webhook import Model
from bridge.ports.checks import Finding, Level, ahead_in, clock_finding
from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.githosts.base.api import Api
    from bridge.githosts.base.http import Access


class _User(Model):
    login: str = Field(validation_alias=AliasChoices("login", "username"))


def user_in(answer: Answer, service: str) -> str:
    """Return whose token it is, given the answer of `/user`."""
    return read(_User, answer, service).login


async def ask_user(access: "Access") -> Answer:
    """Ask whose token ours is; raise Refused if it is not accepted."""
    return await access.at("/user").ask("GET")


def accepted(about: str, answer: Answer) -> Iterator[Finding]:
    """Yield that the token is accepted, and what is wrong with the clock."""
    login = user_in(answer, about)
    yield Finding(Level.OK, "host.token", about, f"the token of {login} is accepted")
    yield from clock_finding("host.clock", about, ahead_in(answer.headers, time.time()))


def token_setup(
    title: str, open_: "Callable[[str, Any], Api | None]", shows: str, *fields: SetupField
) -> Setup:
    """Return how a host is set up, given what opens its API, and where it shows results."""
    return Setup(
        gives=f"deploys on a push, and shows the result on the {shows} and the commit",
        credentials=("token",),
        fields=fields,
        tries=partial(_tries, title, open_),
        makes_webhooks=has_token,
    )


def has_token(settings: Any) -> bool:
    """Return whether a token is set."""
    return settings.token is not None


async def _tries(
    title: str, open_: "Callable[[str, Any], Api | None]", name: str, settings: Any
) -> Sequence[str]:
    api = open_(name, settings)
    if api is None:
        raise Rejected("give a token")
    try:
        login = user_in(await ask_user(api.access), name)
        return (f"{title} answers and accepts the token of {login}",)
    finally:
        await api.close()
