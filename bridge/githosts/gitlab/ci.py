"""Read a commit's pipelines and their jobs.

https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/commits/
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter

from bridge.core.checks import Check, CheckState, Required
from bridge.githosts.answers import read
from bridge.githosts.ci import all_there, check_of, if_seen, is_ours, newest, state_of
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.gitlab.webhooks import EXTERNAL
from bridge.githosts.http import NOTHING, part
from bridge.githosts.webhook import Id, Model, Name

PIPELINE = "pipeline"
"""The name of the check that is a whole pipeline; jobs have their own names."""

_PASSED = frozenset({"success", "skipped"})
_FAILED = frozenset({"failed", "canceled"})
_LEFT_ALONE = frozenset({*_PASSED, *_FAILED, "manual"})
"""States that hold up no pipeline, of jobs that may fail."""

M = TypeVar("M", bound=Model)


class GitlabReadsChecks:
    """Checks of commits; a `ReadsChecks`."""

    def __init__(self, access: GitlabAccess) -> None:
        self._access = access

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest pipeline of each ref and source, and its jobs.

        The statuses of a commit are the jobs of all its pipelines, without those that were
        retried, and what others have set by the API: `POST …/statuses` adds it to the newest
        pipeline. So do our own statuses, hence the state of such a pipeline depends on them.
        """
        path = f"/repository/commits/{part(commit)}/statuses"
        statuses = [one async for one in self._entries(repository, path, _STATUSES)]
        # Read after its jobs: a pipeline that has just begun is listed at least here.
        query = {"sha": commit}
        listed = [one async for one in self._entries(repository, "/pipelines", _PIPELINES, query)]
        pipelines = _newest(listed)
        checks = [
            (one.id, one.meaning(_jobs(one, statuses)))
            for one in pipelines
            if one.source != EXTERNAL
        ]
        for one in statuses:
            pipeline = next((each for each in pipelines if one.is_of(each)), None)
            # A job of that name counts as a part of its pipeline.
            if pipeline is not None and one.name != PIPELINE and not is_ours(one.name):
                checks.append((one.id, one.meaning(pipeline.app)))
        return newest(checks)

    async def required_checks(
        self,
        repository: str,
        branch: str,  # noqa: ARG002 - GitLab requires it of all branches
    ) -> tuple[Required, ...] | None:
        """Return the pipeline, if merge requests must wait for it."""
        answer = await if_seen(self._access.ask(repository, "GET", ""))
        if answer is None:
            return None
        must = read(_WHOLE, "", answer, SERVICE, reads=True).only_allow_merge_if_pipeline_succeeds
        return None if must is None else (Required(PIPELINE),) if must else ()

    async def _entries(
        self,
        repository: str,
        path: str,
        form: TypeAdapter[list[M]],
        query: Mapping[str, Any] = NOTHING,
    ) -> AsyncIterator[M]:
        """Yield the entries of a list; raise Unreachable if pages are missing."""
        listed, told = 0, ""
        async for answer in self._access.pages(repository, path, query=query):
            page = read(form, path, answer, SERVICE, reads=True)
            listed += len(page)
            told = answer.headers.get("x-total", "")
            for one in page:
                yield one
        all_there(SERVICE, path, listed, int(told) if told.isdecimal() else None)


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
        if state is not CheckState.PASSED and any(is_ours(one.name) for one in jobs):
            state = _worst(one.state for one in jobs if not is_ours(one.name))
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


_PIPELINES, _STATUSES = TypeAdapter(list[_Pipeline]), TypeAdapter(list[_Status])
_WHOLE = TypeAdapter(_Whole)


def _newest(pipelines: Iterable[_Pipeline]) -> list[_Pipeline]:
    """Return the newest pipeline of each ref and source."""
    return list({(one.ref, one.source): one for one in sorted(pipelines, key=_number)}.values())


def _number(pipeline: _Pipeline) -> int:
    return pipeline.id


def _jobs(pipeline: _Pipeline, statuses: Iterable[_Status]) -> list[_Status]:
    return [one for one in statuses if one.is_of(pipeline)]


def _worst(states: Iterable[CheckState]) -> CheckState:
    """Return the state of a whole: failed, else pending; without a part it has not begun."""
    found = set(states)
    for state in (CheckState.FAILED, CheckState.PENDING, CheckState.PASSED):
        if state in found:
            return state
    return CheckState.PENDING
