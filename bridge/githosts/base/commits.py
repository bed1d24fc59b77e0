"""Who wrote commits, as Git hosts tell: by account, by a private address, else by address alone."""

import asyncio
import re
from collections.abc import Awaitable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

from pydantic import Field

from bridge.core.checks import Check, CheckState
from bridge.core.errors import Unreachable
from bridge.core.people import MOST_PEOPLE, Writer, co_authors, unlisted_in
from bridge.githosts.base.webhook import Author, ListedCommit, Model, address, id_of, web_url
from bridge.ports.authors import Authored

Private = re.Pattern[str]
"""The private addresses that a kind of host gives to its accounts: their number and login."""

MOST_COMMITS = 1000
"""The most commits whose authors are listed."""

TOO_MANY = f"there are more than {MOST_COMMITS}"

LONGEST_LOGIN = 255
"""Characters of a login; a longer one is nobody's."""

_THE_HOST = re.compile(r"noreply@[\w.-]+", re.ASCII | re.IGNORECASE).fullmatch
"""The address with which a host itself commits, for whoever clicks there."""


class Account(Model):
    """A person or an organisation, as hosts show them; without a login, it is no account."""

    id: Any = None
    login: str | None = None
    username: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def called(self) -> str:
        """Its login, in whichever field that is."""
        return self.login or self.username or self.name or ""


NOBODY = Account()


class Named(Model):
    """An account as a host shows it."""

    id: int
    login: str

    def number_if(self, login: str) -> str | None:
        """Return its number; None if its login is another one: it was asked for by an old one."""
        return str(self.id) if self.login.lower() == login.lower() else None


class Written(Model):
    """What Git has of a commit."""

    message: str = ""
    author: Author | None = None
    committer: Author | None = None


class AuthoredCommit(Model):
    """A commit as GitHub and Gitea list it."""

    sha: str
    commit: Written = Field(default_factory=Written)
    author: Account | None = None
    committer: Account | None = None

    def writers(self, private: Private) -> Iterator[Writer]:
        """Yield who wrote it, and who committed it."""
        yield _signed(private, self.sha, self.commit.author, self.author)
        by = self.commit.committer
        linked = self.committer is not None and self.committer.login
        if linked or (by is not None and not _THE_HOST(by.email or "")):
            yield _signed(private, self.sha, by, self.committer)
        yield from named_in(private, self.commit.message)


def _signed(private: Private, commit: str, by: Author | None, account: Account | None) -> Writer:
    login = (account and account.login) or ""
    number = id_of(account.id) if account and login else ""
    return writer(private, address(by.email if by else None), login, number, commit)


def named_in(private: Private, message: str) -> Iterator[Writer]:
    """Yield the co-authors that a commit's message names."""
    return (writer(private, email) for email in co_authors(message))


def writer(
    private: Private, email: str, login: str = "", number: str = "", commit: str = ""
) -> Writer:
    """Return a writer; a private address tells of an account what the host does not."""
    login = _login(login)
    if (known := private.fullmatch(email)) is None:
        return Writer(login, number, email.lower(), commit)
    linked, number = bool(login), number or known[1] or ""
    return Writer(login or known[2], number, email.lower(), commit, linked=linked)


def authors_of(
    private: Private, commits: Sequence[ListedCommit] | None, *pushers: Writer, cut: str = ""
) -> tuple[Writer, ...]:
    """Return who wrote and pushed the commits that a push lists, sorted.

    Args:
        cut: the head, if these may not be all; "" if they are.
    """
    by = [replace(who, login=_login(who.login), email=who.email.lower()) for who in pushers]
    told = distinct([_listed(private, commits or ()), by])
    if commits and (len(told) > MOST_PEOPLE or len(commits) > MOST_COMMITS):
        told, cut = frozenset(by), cut or commits[-1].id
    return tuple(sorted((told | {unlisted_in(cut)}) - {Writer()}))


def _login(text: str) -> str:
    return text if len(text) <= LONGEST_LOGIN else ""


def _listed(private: Private, commits: Iterable[ListedCommit]) -> Iterator[Writer]:
    """Yield who wrote some commits, each signature once: most commits of a push share theirs."""
    signed: dict[tuple[str, str], str] = {}
    for commit in commits:
        author = commit.author or _UNSIGNED
        signed.setdefault((author.username or "", author.email or ""), commit.id)
        if (by := commit.committer) is not None:
            signature = by.username or "", by.email or ""
            if signature not in signed and not _THE_HOST(signature[1]):
                signed[signature] = commit.id
        yield from named_in(private, commit.message or "")
    for (login, email), commit_id in signed.items():
        yield writer(private, address(email), login, commit=commit_id)


_UNSIGNED = Author()


def authored(
    private: Private, commits: Iterable[AuthoredCommit], *, onward: bool = True
) -> Authored:
    """Return who wrote some commits, unless they are too many to be told apart."""
    writers = distinct(commit.writers(private) for commit in commits)
    if len(writers) > MOST_PEOPLE:
        return Authored(None, f"they name more than {MOST_PEOPLE} people")
    return Authored(writers, onward=onward)


def distinct(commits: Iterable[Iterable[Writer]]) -> frozenset[Writer]:
    """Return the writers of some commits, each with one of their commits."""
    writers: dict[tuple[str, ...], Writer] = {}
    for who in chain.from_iterable(commits):
        key = (who.login, who.number, who.email)
        if key not in writers or not writers[key].commit:
            writers[key] = who
    return frozenset(writers.values())


# ── Their checks ─────────────────────────────────────────────────────────────────────────────────

OURS = "dokploy/"
"""The prefix of the names of our own commit statuses, which never count as checks."""

LONGEST_NAME = 255
"""Characters of a check's name; hosts allow no more."""

S = TypeVar("S")
T = TypeVar("T")


def is_ours(name: str) -> bool:
    """Return whether a commit status is one of the bridge's own, of this or another bridge."""
    return name.startswith(OURS)


def state_of(word: str | None, *, passed: Container[str], failed: Container[str]) -> CheckState:
    """Return the state that a host's word means; an unknown word never passes."""
    if word in passed:
        return CheckState.PASSED
    return CheckState.FAILED if word in failed else CheckState.PENDING


def check_of(
    name: str, state: CheckState, app: str | None = "", *urls: str | None, app_id: int | None = None
) -> Check:
    """Return a check with names of bounded length, and the first URL that is safe to open."""
    return Check(name[:LONGEST_NAME], state, (app or "")[:LONGEST_NAME], web_url(*urls), app_id)


def newest(found: Iterable[tuple[int, Check]]) -> list[Check]:
    """Return the newest check of each name and app, sorted.

    Args:
        found: checks with their numbers; a newer one has a greater number.
    """
    in_order = sorted(found, key=lambda numbered: numbered[0])
    by_name = {(check.name, check.app): check for _, check in in_order}
    return [by_name[key] for key in sorted(by_name)]


def all_there(service: str, what: str, listed: int, told: int | None) -> None:
    """Raise Unreachable if a host has listed fewer than it says there are: a page is missing.

    Args:
        told: how many there are; None if the host does not say.
    """
    if told is not None and listed < told:
        raise Unreachable(service, f"it listed {listed} of {told} {what}: a page is missing")


async def both(one: Awaitable[S], other: Awaitable[T]) -> tuple[S, T]:
    """Return the results of two requests; raise an error once both have ended."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second
