"""Who wrote commits, as Git hosts tell: by account, by a private address, else by address alone."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field, TypeAdapter

from bridge.core.people import MOST_PEOPLE, Writer, co_authors, unlisted_in
from bridge.githosts.webhook import Author, ListedCommit, Model, address, id_of
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
    """An account that a host has linked to a commit; without a login, it has linked none."""

    id: Any = None
    login: str | None = None


class Named(Model):
    """An account as a host shows it."""

    id: int
    login: str

    def number_if(self, login: str) -> str | None:
        """Return its number; None if its login is another one: it was asked for by an old one."""
        return str(self.id) if self.login.lower() == login.lower() else None


NAMED = TypeAdapter(Named)


class Signature(Model):
    """Who signed a commit, as Git has it."""

    name: str | None = None
    email: str | None = None


class Written(Model):
    """What Git has of a commit."""

    message: str = ""
    author: Signature | None = None
    committer: Signature | None = None


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


def _signed(private: Private, commit: str, by: Signature | None, account: Account | None) -> Writer:
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
    if (found := private.fullmatch(email)) is None:
        return Writer(login, number, email.lower(), commit)
    linked, number = bool(login), number or found[1] or ""
    return Writer(login or found[2], number, email.lower(), commit, linked=linked)


def authors_of(
    private: Private, commits: Sequence[ListedCommit] | None, *pushers: Writer, cut: str = ""
) -> tuple[Writer, ...]:
    """Return who wrote and pushed the commits that a push lists, sorted.

    Args:
        cut: the head, if these may not be all; "" if they are.
    """
    listed = (_listed(private, one) for one in commits or ())
    by = [replace(one, login=_login(one.login), email=one.email.lower()) for one in pushers]
    told = distinct([*listed, by])
    if commits and (len(told) > MOST_PEOPLE or len(commits) > MOST_COMMITS):
        told, cut = frozenset(by), cut or commits[-1].id
    return tuple(sorted((told | {unlisted_in(cut)}) - {Writer()}))


def _login(text: str) -> str:
    return text if len(text) <= LONGEST_LOGIN else ""


def _listed(private: Private, commit: ListedCommit) -> Iterator[Writer]:
    yield _told(private, commit.id, commit.author)
    if (by := commit.committer) is not None and not _THE_HOST(by.email or ""):
        yield _told(private, commit.id, by)
    yield from named_in(private, commit.message or "")


def _told(private: Private, commit: str, by: Author | None) -> Writer:
    by = by or Author()
    return writer(private, address(by.email), by.username or "", commit=commit)


def authored(
    private: Private, commits: Iterable[AuthoredCommit], *, onward: bool = True
) -> Authored:
    """Return who wrote some commits, unless they are too many to be told apart."""
    found = distinct(one.writers(private) for one in commits)
    if len(found) > MOST_PEOPLE:
        return Authored(None, f"they name more than {MOST_PEOPLE} people")
    return Authored(found, onward=onward)


def distinct(commits: Iterable[Iterable[Writer]]) -> frozenset[Writer]:
    """Return the writers of some commits, each with one of their commits."""
    found: dict[tuple[str, ...], Writer] = {}
    for one in (writer_ for each in commits for writer_ in each):
        key = (one.login, one.number, one.email)
        if key not in found or not found[key].commit:
            found[key] = one
    return frozenset(found.values())
