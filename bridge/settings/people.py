"""`identities`: the accounts and addresses of each person, by which two doors are one person."""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from bridge.chats import CHATS
from bridge.core.events import COMMAND_HOST, CONSOLE_HOST, kind_of
from bridge.core.people import Identities, service_of
from bridge.core.validation_errors import shortened
from bridge.githosts import HOSTS
from bridge.oauth import OIDC
from bridge.ports.settings import as_list, as_yaml
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
        for one in marks:
            if whose.setdefault(one, name) != name:
                raise ValueError(
                    f"{one} is in {whose[one]!r} and in {name!r}: whoever has both is one person,"
                    " so write one entry"
                )
            service = service_of(one)
            if "/" in service and service not in servers:
                raise ValueError(f"{one} of {name!r}: there is no server {service!r}")
            logins = [other for other in marks if other.startswith(f"{service}:")]
            if service and ":#" in one and all(":#" in other for other in logins):
                raise ValueError(
                    f"{one} of {name!r} is a number: write the login beside it, {service}:LOGIN,"
                    " since some events name only that"
                )


def identities_of(settings: Any) -> Identities:
    """Return who is who."""
    return Identities({name: frozenset(marks) for name, marks in settings.identities.items()})
