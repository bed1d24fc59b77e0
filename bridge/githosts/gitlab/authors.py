"""Tell who wrote commits, with the accounts that GitLab links to their authors' addresses.

REST tells addresses alone, GraphQL the account of a commit's author from GitLab 17.10 on.

https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
https://docs.gitlab.com/api/graphql/reference/#commit
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.githosts.answers import read
from bridge.githosts.authors import (
    MOST_COMMITS,
    TOO_MANY,
    Account,
    AuthoredCommit,
    Signature,
    Written,
    authored,
)
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.gitlab.webhooks import PRIVATE
from bridge.githosts.http import part
from bridge.githosts.webhook import Model, address
from bridge.ports.authors import Authored

AT_ONCE = 30
"""Commits of one query: each counts 5 towards the 250 that GitLab lets a query cost."""

_NUMBER = re.compile(r"gid://gitlab/User/([0-9]{1,19})").fullmatch


async def authors(access: GitlabAccess, repository: str, base: str | None, head: str) -> Authored:
    """Return who wrote what `head` contains and `base` does not; see `TellsAuthors`."""
    if base is None:
        return await _told(access, repository, [await _commit(access, repository, head)])
    try:
        commits = await _since(access, repository, base, head)
    except NotFound:
        await _commit(access, repository, head)  # raises NotFound if that is what is missing
        return Authored(None, f"GitLab does not know {base[:7]}, which is live, any more")
    if len(commits) > MOST_COMMITS:
        return Authored(None, TOO_MANY)
    onward = not await _since(access, repository, head, base)
    return replace(await _told(access, repository, commits), onward=onward)


async def _since(
    access: GitlabAccess, repository: str, base: str, head: str
) -> "Sequence[_Commit]":
    path, query = "/repository/compare", {"from": base, "to": head, "straight": "true"}
    answer = await access.ask(repository, "GET", path, query=query)
    return read(_COMPARISON, path, answer, SERVICE, reads=True).commits


async def _commit(access: GitlabAccess, repository: str, sha: str) -> "_Commit":
    path = f"/repository/commits/{part(sha)}"
    answer = await access.ask(repository, "GET", path)
    return read(_COMMIT, path, answer, SERVICE, reads=True)


async def _told(access: GitlabAccess, repository: str, commits: "Sequence[_Commit]") -> Authored:
    accounts = await _accounts(access, repository, commits)
    return authored(PRIVATE, (one.linked(accounts) for one in commits))


# ── accounts ─────────────────────────────────────────────────────────────────


async def _accounts(
    access: GitlabAccess, repository: str, commits: "Sequence[_Commit]"
) -> dict[str, Account]:
    """Return the accounts of those authors' addresses that GitLab links to one."""
    by = {email: one.id for one in commits if (email := _mark(one.author_email))}
    if not by:
        return {}
    project = read(_PROJECT, "", await access.ask(repository, "GET", ""), SERVICE, reads=True)
    found, emails = dict[str, Account](), list(by)
    for at in range(0, len(emails), AT_ONCE):
        some = emails[at : at + AT_ONCE]
        told = await _authors(access, project.path_with_namespace, [by[one] for one in some])
        found |= {email: one for email, one in zip(some, told, strict=True) if one}
    return found


async def _authors(
    access: GitlabAccess, project: str, commits: Sequence[str]
) -> "list[Account | None]":
    """Return the account of each commit's author; None if GitLab links or tells none."""
    refs = {f"c{number}": sha for number, sha in enumerate(commits)}
    taken = "".join(f", ${name}: String!" for name in refs)
    asked = " ".join(
        f"{name}: commit(ref: ${name}) {{ author {{ id username }} }}" for name in refs
    )
    text = f"query($path: ID!{taken}) {{ project(fullPath: $path) {{ repository {{ {asked} }} }} }}"
    try:
        answer = await access.query(text, {"path": project} | refs)
    except (NotFound, Refused):  # no GraphQL there, or none for our token
        return [None] * len(refs)
    data = read(_ANSWER, "/api/graphql", answer, SERVICE, reads=True).data
    told = data and data.project and data.project.repository
    return [_account((told or {}).get(name)) for name in refs]


def _account(told: "_Told | None") -> Account | None:
    if told is None or told.author is None:
        return None
    number = _NUMBER(told.author.id)
    return Account(id=int(number[1]) if number else None, login=told.author.username)


def _mark(email: str | None) -> str:
    return address(email).lower()


class _Commit(Model):
    id: str
    message: str = ""
    author_email: str | None = None
    committer_email: str | None = None

    def linked(self, accounts: Mapping[str, Account]) -> AuthoredCommit:
        """Return it with the accounts of its author and committer, as other hosts tell it."""
        author, committer = self.author_email, self.committer_email
        return AuthoredCommit(
            sha=self.id,
            commit=Written(
                message=self.message,
                author=Signature(email=author),
                committer=None if committer is None else Signature(email=committer),
            ),
            author=accounts.get(_mark(author)),
            committer=accounts.get(_mark(committer)),
        )


class _Comparison(Model):
    commits: list[_Commit] = Field(default_factory=list)


class _Project(Model):
    path_with_namespace: str


class _User(Model):
    id: str
    username: str


class _Told(Model):
    author: _User | None = None


class _Repository(Model):
    repository: dict[str, _Told | None] | None = None


class _Data(Model):
    project: _Repository | None = None


class _Answer(Model):
    """A GraphQL answer; without data, an older GitLab does not know what we ask for."""

    data: _Data | None = None


_COMPARISON, _COMMIT = TypeAdapter(_Comparison), TypeAdapter(_Commit)
_PROJECT, _ANSWER = TypeAdapter(_Project), TypeAdapter(_Answer)
