"""Tell who wrote commits, with the accounts that GitLab links to their authors' addresses.

REST tells addresses alone, GraphQL the account of a commit's author from GitLab 17.10 on.

https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
https://docs.gitlab.com/api/graphql/reference/#commit
"""

import re
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import AliasPath, Field

from bridge.core.checks import Check, CheckState, Required
from bridge.core.errors import NotFound, Refused
from bridge.githosts.base.answers import read
from bridge.githosts.base.api import Api, Query, if_seen
from bridge.githosts.base.commits import (
    MOST_COMMITS,
    TOO_MANY,
    Account,
    AuthoredCommit,
    Written,
    all_there,
    authored,
    check_of,
    is_ours,
    newest,
    state_of,
)
from bridge.githosts.base.http import NOTHING, part
from bridge.githosts.base.webhook import Author, Id, Model, Name, address
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.gitlab.webhooks import EXTERNAL, GitLab
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
    told = read(_Answer, answer, SERVICE).commits or {}
    authors = [commit.author if commit else None for commit in map(told.get, refs)]
    return [author.account if author else None for author in authors]


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

    @property
    def account(self) -> Account:
        """The account, as other hosts tell it."""
        number = _NUMBER(self.id)
        return Account(id=int(number[1]) if number else None, login=self.username)


class _Told(Model):
    author: _User | None = None


class _Answer(Model):
    """A GraphQL answer; without data, an older GitLab does not know what we ask for."""

    commits: dict[str, _Told | None] | None = Field(
        None, validation_alias=AliasPath("data", "project", "repository")
    )


# ── Their pipelines and jobs ─────────────────────────────────────────────────────────────────────

PIPELINE = "pipeline"
"""The name of the check that is a whole pipeline; jobs have their own names."""

_PASSED = frozenset({"success", "skipped"})
_FAILED = frozenset({"failed", "canceled"})
_LEFT_ALONE = frozenset({*_PASSED, *_FAILED, "manual"})
"""States that hold up no pipeline, of jobs that may fail."""

E = TypeVar("E", bound=Model)


class _Pipeline(Model):
    id: Id
    ref: Name = ""
    source: Name | None = None
    status: str
    web_url: str | None = None

    @property
    def app(self) -> str:
        """Where it comes from, e.g. "push main"; two pipelines of one commit differ in it."""
        return " ".join(filter(None, (self.source, self.ref)))

    def meaning(self, jobs: "list[_Status]") -> Check:
        """Return the check.

        Args:
            jobs: all of its jobs and statuses, with our own.
        """
        state = state_of(self.status, passed=_PASSED, failed=_FAILED)
        if state is not CheckState.PASSED and any(is_ours(job.name) for job in jobs):
            state = _worst(job.state for job in jobs if not is_ours(job.name))
        return check_of(PIPELINE, state, self.app, self.web_url)


class _Status(Model):
    id: Id
    name: Name
    status: str
    ref: Name | None = None
    allow_failure: bool | None = None
    pipeline_id: Id | None = None  # older ones do not say
    target_url: str | None = None

    @property
    def state(self) -> CheckState:
        """The check's state; a job that is allowed to fail or to wait for a person passes then."""
        passed = _LEFT_ALONE if self.allow_failure else _PASSED
        return state_of(self.status, passed=passed, failed=_FAILED)

    def is_of(self, pipeline: _Pipeline) -> bool:
        if self.pipeline_id is None:
            return self.ref == pipeline.ref
        return self.pipeline_id == pipeline.id

    def meaning(self, app: str) -> Check:
        """Return the check."""
        return check_of(self.name, self.state, app, self.target_url)


class _Whole(Model):
    only_allow_merge_if_pipeline_succeeds: bool | None = None


class GitlabReadsChecks(Api, ABC):
    """Checks of commits; a `ReadsChecks`."""

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest pipeline of each ref and source, and its jobs.

        The statuses of a commit are the jobs of all its pipelines, without those that were
        retried, and what others have set by the API: `POST …/statuses` adds it to the newest
        pipeline. So do our own statuses, hence the state of such a pipeline depends on them.
        """
        path = f"/repository/commits/{part(commit)}/statuses"
        statuses = await self._all(repository, path, _Status)
        # Read after its jobs: a pipeline that has just begun is listed at least here.
        listed = await self._all(repository, "/pipelines", _Pipeline, {"sha": commit})
        in_order = sorted(listed, key=lambda pipeline: pipeline.id)
        by_origin = {(pipeline.ref, pipeline.source): pipeline for pipeline in in_order}
        pipelines = list(by_origin.values())
        checks = [
            (pipeline.id, pipeline.meaning([job for job in statuses if job.is_of(pipeline)]))
            for pipeline in pipelines
            if pipeline.source != EXTERNAL
        ]
        for job in statuses:
            of = next((pipeline for pipeline in pipelines if job.is_of(pipeline)), None)
            # A job of that name counts as a part of its pipeline.
            if of is not None and job.name != PIPELINE and not is_ours(job.name):
                checks.append((job.id, job.meaning(of.app)))
        return newest(checks)

    async def required_checks(
        self,
        repository: str,
        branch: str,  # noqa: ARG002 - GitLab requires it of all branches
    ) -> tuple[Required, ...] | None:
        """Return the pipeline, if merge requests must wait for it."""
        seen = await if_seen(self.access.of(repository).get("", _Whole))
        must = None if seen is None else seen.only_allow_merge_if_pipeline_succeeds
        return None if must is None else (Required(PIPELINE),) if must else ()

    async def _all(
        self, repository: str, path: str, entry: type[E], query: Query = NOTHING
    ) -> list[E]:
        """Return the entries of a list; raise Unreachable if pages are missing."""
        entries, total = await self.access.of(repository).counted(path, entry, query)
        all_there(self.name, path, len(entries), total)
        return entries


def _worst(states: Iterable[CheckState]) -> CheckState:
    """Return the state of a whole: failed, else pending; without a part it has not begun."""
    order = (CheckState.FAILED, CheckState.PENDING, CheckState.PASSED)
    return min(states, key=order.index, default=CheckState.PENDING)
