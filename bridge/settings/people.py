"""`identities`: who is one person at several doors; `access`: who may do what."""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from bridge.chats import CHATS
from bridge.core.access import EVERYONE, Right
from bridge.core.events import COMMAND_HOST, CONSOLE_HOST, kind_of
from bridge.core.people import Identities, service_of
from bridge.core.validation_errors import shortened
from bridge.githosts import HOSTS
from bridge.oauth import OIDC
from bridge.ports.settings import AppPattern, Section, as_list, as_yaml
from bridge.ports.sign_in import Naming

_ADDRESS = re.compile(r"[^\s@<>,:]{1,64}@[^\s@<>,:]{1,255}").fullmatch
_ACCOUNT = re.compile(r"#[1-9][0-9]{0,18}|[a-z0-9_][a-z0-9_.-]{0,254}(?:\[bot\])?").fullmatch
_USER = re.compile(r"[^\s:]{1,64}").fullmatch

EXAMPLES = "slack:U012AB3CD, github:ada, github:#583231, cli:ada or ada@example.org"


def _as_mark(text: str) -> str:
    """Return an account or address in the form that is compared; see `core.people`."""
    service, name = service_of(text), text.partition(":")[2]
    if not service and _ADDRESS(text):
        return text.lower()
    if kind_of(service) in HOSTS and _ACCOUNT(name.lower()):
        return f"{service}:{name.lower()}"
    own = (service == COMMAND_HOST and _USER(name)) or text == f"{CONSOLE_HOST}:owner"
    if own or any(text.startswith(to) and one.fits(text[len(to) :]) for to, one in _people()):
        return text
    raise ValueError(f"{shortened(text)} is no account or address: write {EXAMPLES}")


def _people() -> Iterator[tuple[str, Naming]]:
    """Yield how services name people, each with what stands before the name here."""
    for chat, record in CHATS.items():
        if record.sign_in is not None:
            yield from ((f"{chat}:", one) for one in record.sign_in.names if not one.group)
    yield from (("", one) for one in OIDC.names if not one.group)


Entry = Annotated[tuple[Annotated[str, AfterValidator(_as_mark)], ...], BeforeValidator(as_list)]
Entries = Annotated[dict[str, Entry], BeforeValidator(partial(as_yaml, nothing=dict))]
"""The accounts and addresses of each person, by a name."""


def check_entries(entries: Mapping[str, Collection[str]], servers: Collection[str]) -> None:
    """Raise ValueError if entries contradict each other, or name a server that is not set.

    Args:
        servers: the names of further servers of Git hosts, e.g. "gitea/second".
    """
    whose = dict[str, str]()
    for name, marks in entries.items():
        for mark in marks:
            if whose.setdefault(mark, name) != name:
                raise ValueError(
                    f"{mark} is in {whose[mark]!r} and in {name!r}: whoever has both is one person,"
                    " so write one entry"
                )
            service = service_of(mark)
            if "/" in service and service not in servers:
                raise ValueError(f"{mark} of {name!r}: there is no server {service!r}")
            logins = [other for other in marks if other.startswith(f"{service}:")]
            if service and ":#" in mark and all(":#" in other for other in logins):
                raise ValueError(
                    f"{mark} of {name!r} is a number: write the login beside it, {service}:LOGIN,"
                    " since some events name only that"
                )


def identities_of(settings: Any) -> Identities:
    """Return who is who."""
    return Identities({name: frozenset(marks) for name, marks in settings.identities.items()})


# ── Who may do what by chat ───────────────────────────────────────────────────────────────────────

_DOMAIN = re.compile(r"@[\w-]+(\.[\w-]+)+").fullmatch
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,}")


class Grant(Section):
    """What some people may do by chat; anything that no grant allows is refused."""

    who: tuple[str, ...] = Field(
        description="ids and groups as chats and sign-ins name them, email domains"
        " (@example.com), or everyone"
    )
    may: tuple[Right, ...] = Field(
        description="view, deploy, cancel, configure, lock, approve, override"
    )
    apps: tuple[AppPattern, ...] = Field(
        ("*",), description="labels or globs over them; * is every app"
    )
    channels: tuple[str, ...] = Field(
        (), description="only from these (C…); by default from everywhere"
    )

    @field_validator("who")
    @classmethod
    def _somebody(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_person_named, value))

    @field_validator("channels")
    @classmethod
    def _by_id(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not _CHANNEL.fullmatch(one):
                raise ValueError(f"{one!r} is no channel id; those look like C024BE91L")
        return value


def _namings() -> Iterator[Naming]:
    """Yield how grants name people: as each service's record says."""
    records = [chat.sign_in for chat in CHATS.values()] + [host.sign_in for host in HOSTS.values()]
    for record in (*records, OIDC):
        if record is not None:
            yield from record.names


def _person_named(name: str) -> str:
    """Return a name of `who` as it is compared; raise ValueError if it has no known form."""
    if name == EVERYONE or _DOMAIN(name):
        return name
    known = list(_namings())
    for one in known:
        if one.fits(name):
            return one.normal(name)
    service, colon, _ = name.partition(":")
    own = [one.says for one in known if colon and one.form.startswith(f"{service}:")]
    all_ = own or [*(one.says for one in known), "an email domain (@example.com)", EVERYONE]
    raise ValueError(f"{shortened(name)} names nobody: write {', '.join(all_[:-1])} or {all_[-1]}")
