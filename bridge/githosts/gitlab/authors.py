"""Tell who wrote commits, with the accounts that GitLab links to their authors' addresses.

REST tells addresses alone, GraphQL the account of a commit's author from GitLab 17.10 on.

https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
https://docs.gitlab.com/api/graphql/reference/#commit
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import Field

from bridge.core.errors import NotFound, Refused
from bridge.githosts.answers import read
from bridge.githosts.authors import (
    MOST_COMMITS,
    TOO_MANY,
    Account,
    AuthoredCommit,
    Written,
    authored,
)
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.gitlab.webhooks import GitLab
from bridge.githosts.http import part
from bridge.githosts.webhook import Author, Model, address
from bridge.ports.authors import Authored

AT_ONCE = 30
"""Commits of one query: each counts 5 towards the 250 that GitLab lets a query cost."""

_NUMBER = re.compile(r"gid://gitlab/User/([0-9]{1,19})").fullmatch


async def authors(access: GitlabAccess, repository: str, base: str | None, head: str) -> Authored:
    """Return who wrote what `head` contains and `base` does not; see `TellsAuthors`."""
    if base is None:
        return await _told(access, repository, [await commit_at(access, repository, head)])
    try:
        commits = await _since(access, repository, base, head)
    except NotFound:
        await commit_at(access, repository, head)  # raises NotFound if that is what is missing
        return Authored(None, f"GitLab does not know {base[:7]}, which is live, any more")
    if len(commits) > MOST_COMMITS:
        return Authored(None, TOO_MANY)
    onward = not await _since(access, repository, head, base)
    return replace(await _told(access, repository, commits), onward=onward)


async def _since(
    access: GitlabAccess, repository: str, base: str, head: str
) -> "Sequence[ListedCommit]":
    query = {"from": base, "to": head, "straight": "true"}
    return (await access.of(repository).get("/repository/compare", _Comparison, query)).commits


async def commit_at(access: GitlabAccess, repository: str, sha: str) -> "ListedCommit":
    """Return a commit."""
    return await access.of(repository).get(f"/repository/commits/{part(sha)}", ListedCommit)


async def _told(
    access: GitlabAccess, repository: str, commits: "Sequence[ListedCommit]"
) -> Authored:
    accounts = await _accounts(access, repository, commits)
    return authored(GitLab.private, (commit.linked(accounts) for commit in commits))


# ── accounts ─────────────────────────────────────────────────────────────────


async def _accounts(
    access: GitlabAccess, repository: str, commits: "Sequence[ListedCommit]"
) -> dict[str, Account]:
    """Return the accounts of those authors' addresses that GitLab links to one."""
    by = {email: commit.id for commit in commits if (email := _mark(commit.author_email))}
    if not by:
        return {}
    project = await access.of(repository).get("", _Project)
    found, emails = dict[str, Account](), list(by)
    for at in range(0, len(emails), AT_ONCE):
        some = emails[at : at + AT_ONCE]
        told = await _authors(access, project.path_with_namespace, [by[email] for email in some])
        found |= {email: account for email, account in zip(some, told, strict=True) if account}
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
    data = read(_Answer, answer, SERVICE).data
    told = data and data.project and data.project.repository
    return [_account((told or {}).get(name)) for name in refs]


def _account(told: "_Told | None") -> Account | None:
    if told is None or told.author is None:
        return None
    number = _NUMBER(told.author.id)
    return Account(id=int(number[1]) if number else None, login=told.author.username)


def _mark(email: str | None) -> str:
    return address(email).lower()


class ListedCommit(Model):
    """A commit, as the API has it."""

    id: str
    message: str = ""
    author_name: str = ""
    author_email: str | None = None
    committer_email: str | None = None
    web_url: str | None = None
    parent_ids: list[str] = Field(default_factory=list)

    def linked(self, accounts: Mapping[str, Account]) -> AuthoredCommit:
        """Return it with the accounts of its author and committer, as other hosts tell it."""
        author, committer = self.author_email, self.committer_email
        return AuthoredCommit(
            sha=self.id,
            commit=Written(
                message=self.message,
                author=Author(email=author),
                committer=None if committer is None else Author(email=committer),
            ),
            author=accounts.get(_mark(author)),
            committer=accounts.get(_mark(committer)),
        )


class _Comparison(Model):
    commits: list[ListedCommit] = Field(default_factory=list)


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
