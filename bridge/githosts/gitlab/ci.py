"""Read a commit's pipelines and their jobs.

https://docs.gitlab.com/api/pipelines/, https://docs.gitlab.com/api/commits/
"""

from abc import ABC
from collections.abc import Iterable
from typing import TypeVar

from bridge.core.checks import Check, CheckState, Required
from bridge.githosts.api import Api, Query, if_seen
from bridge.githosts.ci import all_there, check_of, is_ours, newest, state_of
from bridge.githosts.gitlab.webhooks import EXTERNAL
from bridge.githosts.http import NOTHING, part
from bridge.githosts.webhook import Id, Model, Name

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
        by_origin = {(one.ref, one.source): one for one in sorted(listed, key=lambda one: one.id)}
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
    found = set(states)
    for state in (CheckState.FAILED, CheckState.PENDING, CheckState.PASSED):
        if state in found:
            return state
    return CheckState.PENDING
