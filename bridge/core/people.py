"""Tell people apart by their accounts and addresses at several services. Pure.

A mark is what a service tells of somebody: an account ("slack:U012AB3CD", "github:ada",
"github:#583231") or an address, in lower case. Whoever shares a mark is one person.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bridge.core.words import some

Marks = frozenset[str]

_ACCOUNT = re.compile(r"([a-z]+(?:/[A-Za-z0-9_-]+)?):").match

CHOSEN_BY_THEMSELVES = frozenset({"cli", "console"})
"""Services whose accounts don't tell people apart: one person may use several."""

_CO_AUTHOR = re.compile(r"(?im)^co-authored-by:[^<\n]*<([^<>\s]{1,320})>[ \t\r]*$")

MOST_PEOPLE = 1000
"""The most who may have written what a deployment brings: a message names as many as it likes."""

MOST_NAMED = 3
"""Commits of unknown authors that a reason names."""


def service_of(mark: str) -> str:
    """Return the service of an account; "" for an address."""
    found = _ACCOUNT(mark)
    return found[1] if found else ""


def address(email: str) -> tuple[str, ...]:
    """Return the mark of an address, none of what only calls itself one: a commit may say anything.

    It must not look like an account.
    """
    mark = email.lower()
    return (mark,) if "@" in mark and not service_of(mark) else ()


def co_authors(message: str) -> tuple[str, ...]:
    """Return the addresses of the co-authors that a commit's message names, in lower case."""
    if "<" not in message:  # as in most: the pattern takes far longer to find nothing
        return ()
    return tuple(dict.fromkeys(one.lower() for one in _CO_AUTHOR.findall(message)))


@dataclass(frozen=True, slots=True, order=True)
class Writer:
    """Somebody who wrote or pushed a commit, as its Git host tells.

    Attributes:
        login: the account; "" if it is not told.
        number: the account's number, which survives renames; "" if it is not told.
        email: as committed; "" if it is not told.
        commit: what they wrote, if their account has to be known; "" if not, as of a co-author.
        linked: the host tells the account; else the address looks like one of its private ones.
    """

    login: str = ""
    number: str = ""
    email: str = ""
    commit: str = ""
    linked: bool = True

    def marks(self, host: str) -> Marks:
        """Return the marks of this writer; `host`: the Git host's name."""
        login = self.login and f"{host}:{self.login.lower()}"
        number = self.number and f"{host}:#{self.number}"
        return frozenset(one for one in (login, number, *address(self.email)) if one)

    def sure_marks(self, host: str) -> Marks:
        """Return the marks of this writer but for an account that the host has not linked."""
        return self.marks(host) if self.linked else frozenset(address(self.email))

    def of_nothing(self) -> "Writer":
        """Return this writer as one whose account need not be known."""
        return replace(self, commit="")


def unlisted_in(head: str) -> Writer:
    """Return the unknown authors of a push to a head whose webhook does not list all commits."""
    return Writer(commit=head)


@dataclass(frozen=True, slots=True)
class Identities:
    """The accounts and addresses of people, as `identities` in the settings joins them."""

    entries: Mapping[str, Marks] = field(default_factory=dict)

    def of(self, marks: Iterable[str]) -> Marks:
        """Return the marks of somebody, with all that the settings join to them."""
        own = frozenset(marks)
        return own.union(*(one for one in self.entries.values() if not own.isdisjoint(one)))


NO_IDENTITIES = Identities()


def merged(people: Iterable[Marks]) -> list[Marks]:
    """Return each person once, with all their marks: whoever shares one is one person."""
    of: dict[str, set[str]] = {}
    for one in people:
        same = {id(found): found for mark in one if (found := of.get(mark)) is not None}
        *smaller, whole = sorted((*same.values(), set(one)), key=len)
        for mark in set().union(*smaller):
            whole.add(mark)
            of[mark] = whole
        of |= dict.fromkeys(one, whole)
    return [frozenset(one) for one in {id(found): found for found in of.values()}.values()]


def services_of(marks: Iterable[str]) -> frozenset[str]:
    """Return where somebody is known; "" stands for addresses."""
    return frozenset(map(service_of, marks))


def comparable(one: Marks, other: Marks) -> bool:
    """Return whether it is certain that two without a common mark are two people.

    It is if both have accounts of one service.
    """
    return bool((services_of(one) & services_of(other)) - CHOSEN_BY_THEMSELVES - {""})


@dataclass(frozen=True, slots=True)
class Brought:
    """The authors and pushers of what a deployment brings.

    Attributes:
        authors: their marks.
        unknown: why some of them can't be recognised, so nobody is certain to be another; "" if
            all can.
        by: the services in all of which somebody must be known, to be certain to be another.
    """

    authors: Marks = frozenset()
    unknown: str = ""
    by: tuple[str, ...] = ()


def brought(
    host: str,
    writers: Collection[tuple[str, Writer]],
    identities: Identities,
    *,
    unlisted: str = "",
) -> Brought:
    """Return who wrote and pushed commits.

    Args:
        writers: each with the host that tells of them.
        unlisted: why these may not be all; "" if they are.
    """
    people = merged(identities.of(one.marks(at)) for at, one in set(writers))
    sure = frozenset[str]().union(*(identities.of(one.sure_marks(at)) for at, one in writers))
    known = frozenset[str]().union(*(one for one in people if host in services_of(one & sure)))
    # Somebody without any mark is in no set, so never known.
    lacking = [one for at, one in writers if one.commit and not one.marks(at) & known]
    unknown = unlisted or _unknown(lacking, host)
    return Brought(frozenset[str]().union(*people), unknown, (host,))


def _unknown(writers: Sequence[Writer], host: str) -> str:
    if not writers:
        return ""
    commits = sorted({one.commit for one in writers})
    named = some([one[:7] for one in commits], MOST_NAMED)
    who = f"who wrote {named} has no known account on {host}"
    if not all(address(one.email) for one in writers):
        return f"{who}, and no address that `identities` could name: only an override lets it pass"
    return f"{who}: name their address in `identities`, {example('ADDRESS', [host])}"


def example(account: str, services: Iterable[str]) -> str:
    """Return an entry of `identities` by which somebody would be known in these services."""
    others = (f"{one}:LOGIN" for one in services)
    return f"`NAME: [{', '.join((account, *others))}]`"


# ── who led to a deployment or a change ──────────────────────────────────────────────────────────

_ACTOR = re.compile(r"(?:([^\s:]+): )?(.*?)(?: \(([UW][A-Z0-9]+)\))?", re.DOTALL)
_FOUND = "found by reconciliation"
_REPLAYED = "replayed by "


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something, or changes it.

    Attributes:
        door: where they came in, e.g. "cli", "slack"; "" for the bridge itself.
        name: for display; "" for nobody.
        id: who they are there, as many choose their own name; "" if it need not be shown.
    """

    door: str = ""
    name: str = ""
    id: str = ""

    def __str__(self) -> str:
        door = f"{self.door}: " if self.door else ""
        return f"{door}{self.name} ({self.id})" if self.id else f"{door}{self.name}"

    @classmethod
    def read(cls, text: str) -> "Actor":
        """Return an actor from the text that earlier releases stored, e.g. "slack: Ada (U1)"."""
        found = _ACTOR.fullmatch(text)
        return cls(*(one or "" for one in found.groups())) if found else cls(name=text)


NOBODY = Actor()


class Cause(StrEnum):
    """What kind of event led to a deployment."""

    PUSH = "push"
    TAG = "tag"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Origin:
    """What led to a deployment.

    Attributes:
        actor: who asked for it, or replayed the push.
    """

    cause: Cause
    actor: Actor = NOBODY
    found: bool = False

    def __str__(self) -> str:
        """E.g. "push", "tag, replayed by cli: ada", "slack: Ada"."""
        who = str(self.actor)
        if self.cause is Cause.ASKED:
            return who
        return ", ".join(filter(None, (self.cause, self.more(who))))

    def more(self, by: str) -> str:
        """Return what is to be said of a push beside its author; `by` has replayed it."""
        return ", ".join([_FOUND] * self.found + [f"{_REPLAYED}{by}"] * bool(by))

    @classmethod
    def read(cls, text: str) -> "Origin":
        """Return an origin from the text that earlier releases stored."""
        kind, _, more = text.partition(", ")
        if kind not in (Cause.PUSH, Cause.TAG):
            return cls(Cause.ASKED, Actor.read(text))
        by = more.partition(_REPLAYED)[2]
        return cls(Cause(kind), Actor.read(by), more.startswith(_FOUND))


PUSH = Origin(Cause.PUSH)
