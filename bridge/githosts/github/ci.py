"""Read a commit's check runs and statuses, and which a branch's protection requires.

https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/commits/statuses
"""

from abc import ABC
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from pydantic import AliasPath, Field

from bridge.core.checks import Check, Required
from bridge.githosts.base.api import Api, if_seen
from bridge.githosts.base.commits import all_there, both, is_ours, newest
from bridge.githosts.base.http import Access, WithId, part
from bridge.githosts.base.webhook import Model
from bridge.githosts.github.webhooks import CheckRun, SetStatus

E = TypeVar("E", CheckRun, SetStatus)


class _Page(Model, Generic[E]):
    total_count: int
    entries: list[E]


class _Runs(_Page[CheckRun]):
    entries: list[CheckRun] = Field(validation_alias="check_runs")


class _Combined(_Page[SetStatus]):
    entries: list[SetStatus] = Field(validation_alias="statuses")


class _Context(Model):
    context: str
    app_id: int | None = None
    integration_id: int | None = None

    @property
    def meaning(self) -> Required:
        """Return the required checks; GitHub's number -1 stands for any app."""
        number = self.app_id if self.integration_id is None else self.integration_id
        return Required(self.context, number if number is not None and number > 0 else None)


class _Required(Model):
    enforcement_level: str | None = None
    contexts: list[str] = Field(default_factory=list)
    checks: list[_Context] = Field(default_factory=list)


class _Protection(Model):
    required_status_checks: _Required | None = None


class _Branch(Model):
    protected: bool = False
    protection: _Protection | None = None


class _Rule(Model):
    checks: list[_Context] = Field(  # other types of rules have other parameters
        default_factory=list, validation_alias=AliasPath("parameters", "required_status_checks")
    )


class GithubReadsChecks(Api, ABC):
    """Checks of commits; a `ReadsChecks` that `TellsApps`."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._apps: dict[str, int] = {}

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest run of each check, and the newest status of each context.

        A check suite without runs is none: GitHub makes one for each App that is installed.
        """
        place = self.access.at(
            f"{self.access.place(repository)}/commits/{part(commit)}", repository
        )
        runs, statuses = await both(
            self._all("check runs", place.known_pages("/check-runs", _Runs, {"filter": "latest"})),
            self._all("commit statuses", place.known_pages("/status", _Combined)),
        )
        seen = [(run.id, run.meaning()) for run in runs]
        theirs = [status for status in statuses if not is_ours(status.context)]
        seen += [(status.id, status.meaning()) for status in theirs]
        return newest(seen)

    async def required_checks(self, repository: str, branch: str) -> tuple[Required, ...] | None:
        """Return what the branch's protection and the rulesets require; None if neither is seen."""
        seen = await both(
            if_seen(self._protected(repository, branch)), if_seen(self._ruled(repository, branch))
        )
        if all(required is None for required in seen):
            return None
        required = [check for some in seen for check in some or () if not is_ours(check.name)]
        # One of a certain app is required of nobody else: a list of names repeats those.
        apart = {check.name for check in required if check.app_id is not None}
        wanted = [
            check for check in required if check.app_id is not None or check.name not in apart
        ]
        return tuple(dict.fromkeys(wanted))

    async def with_apps(
        self, repository: str, commit: str, checks: Sequence[Check], names: Collection[str]
    ) -> list[Check]:
        """See `TellsApps`: the list of all statuses that were set tells by whom."""
        latest: dict[str, SetStatus] = {}
        place, path = self.access.of(repository), f"/commits/{part(commit)}/statuses"
        async for page in place.known_pages(path, list[SetStatus]):
            for status in page:
                name = status.context
                if name in names and latest.setdefault(name, status).id < status.id:
                    latest[name] = status
        by_name = {
            name: replace(status.meaning(), app_id=await self._app_id(repository, status.slug))
            for name, status in latest.items()
        }
        return [check if check.app else by_name.get(check.name, check) for check in checks]

    async def _app_id(self, repository: str, slug: str | None) -> int | None:
        """Return an App's number; None for none."""
        if slug is None:
            return None
        if slug not in self._apps:
            app = await if_seen(self.access.at("/apps", repository).get(f"/{part(slug)}", WithId))
            if app is None:
                return None
            self._apps[slug] = app.id
        return self._apps[slug]

    async def _all(self, what: str, pages: AsyncIterator[_Page[E]]) -> list[E]:
        """Return the entries of all pages; raise Unreachable if some are missing."""
        entries, total = dict[int, E](), 0
        async for page in pages:
            entries |= {entry.id: entry for entry in page.entries}
            total = page.total_count
        all_there(self.name, what, len(entries), total)
        return list(entries.values())

    async def _protected(self, repository: str, branch: str) -> list[Required] | None:
        """Return what the branch's own protection requires; None: there is one that is not seen."""
        seen = await self.access.of(repository).get(f"{self.branches}/{part(branch)}", _Branch)
        if seen.protection is None:
            return None if seen.protected else []
        required = seen.protection.required_status_checks
        if required is None or required.enforcement_level == "off":
            return []
        return [*map(Required, required.contexts), *(check.meaning for check in required.checks)]

    async def _ruled(self, repository: str, branch: str) -> list[Required]:
        """Return what rulesets require of the branch."""
        pages = self.access.of(repository).known_pages(
            f"/rules/branches/{part(branch)}", list[_Rule]
        )
        return [check.meaning async for rules in pages for rule in rules for check in rule.checks]
