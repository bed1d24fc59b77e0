"""Read a commit's check runs and statuses, and which a branch's protection requires.

https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/commits/statuses
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from pydantic import Field, TypeAdapter

from bridge.core.checks import Check, Required
from bridge.githosts.access import KnownPages
from bridge.githosts.answers import read
from bridge.githosts.ci import all_there, both, if_seen, is_ours, newest
from bridge.githosts.github.access import SERVICE, GithubAccess
from bridge.githosts.github.webhooks import CheckRun, CommitStatus
from bridge.githosts.http import part
from bridge.githosts.webhook import Model


class GithubReadsChecks:
    """Checks of commits; a `ReadsChecks`."""

    def __init__(self, access: GithubAccess) -> None:
        self._access = access
        self._known = KnownPages(access)
        self._apps: dict[str, int] = {}

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest run of each check, and the newest status of each context.

        A check suite without runs is none: GitHub makes one for each App that is installed.
        """
        runs, statuses = await both(
            self._runs(repository, commit), self._statuses(repository, commit)
        )
        found = [(one.id, one.meaning()) for one in runs]
        theirs = [one for one in statuses if not is_ours(one.context)]
        return newest([*found, *((one.id, one.meaning()) for one in theirs)])

    async def required_checks(self, repository: str, branch: str) -> tuple[Required, ...] | None:
        """Return what the branch's protection and the rulesets require; None if neither is seen."""
        seen = await both(
            if_seen(self._protected(repository, branch)),
            if_seen(self._ruled(repository, branch)),
        )
        if all(one is None for one in seen):
            return None
        found = [one for some in seen for one in some or () if not is_ours(one.name)]
        # One of a certain app is required of nobody else: a list of names repeats those.
        apart = {one.name for one in found if one.app_id is not None}
        wanted = [one for one in found if one.app_id is not None or one.name not in apart]
        return tuple(dict.fromkeys(wanted))

    async def with_apps(
        self, repository: str, commit: str, checks: Sequence[Check], names: Collection[str]
    ) -> list[Check]:
        """See `TellsApps`: the list of all statuses that were set tells by whom."""
        newest: dict[str, CommitStatus] = {}
        path = f"/commits/{part(commit)}/statuses"
        async for page in self._known.pages(repository, path, _STATUSES):
            for one in page:
                if one.context in names and newest.setdefault(one.context, one).id < one.id:
                    newest[one.context] = one
        found = {
            name: replace(one.meaning(), app_id=await self._app_id(repository, one.slug))
            for name, one in newest.items()
        }
        return [one if one.app else found.get(one.name, one) for one in checks]

    async def _app_id(self, repository: str, slug: str | None) -> int | None:
        """Return an App's number; None for none."""
        if slug is None:
            return None
        if slug not in self._apps:
            path = f"/apps/{part(slug)}"
            answer = await if_seen(self._access.asker(repository)("GET", path))
            if answer is None:
                return None
            self._apps[slug] = read(_APP, path, answer, SERVICE, reads=True).id
        return self._apps[slug]

    async def _runs(self, repository: str, commit: str) -> list[CheckRun]:
        path, told = f"/commits/{part(commit)}/check-runs", 0
        found: dict[int, CheckRun] = {}
        query = {"filter": "latest"}
        async for page in self._known.pages(repository, path, _RUNS, query=query):
            found |= {one.id: one for one in page.check_runs}
            told = page.total_count
        all_there(SERVICE, "check runs", len(found), told)
        return list(found.values())

    async def _statuses(self, repository: str, commit: str) -> list[CommitStatus]:
        path, told = f"/commits/{part(commit)}/status", 0
        found: dict[int, CommitStatus] = {}
        async for page in self._known.pages(repository, path, _COMBINED):
            found |= {one.id: one for one in page.statuses}
            told = page.total_count
        all_there(SERVICE, "commit statuses", len(found), told)
        return list(found.values())

    async def _protected(self, repository: str, branch: str) -> list[Required] | None:
        """Return what the branch's own protection requires; None: there is one that is not seen."""
        path = f"/branches/{part(branch)}"
        answer = await self._access.ask(repository, "GET", path)
        found = read(_BRANCH, path, answer, SERVICE, reads=True)
        if found.protection is None:
            return None if found.protected else []
        required = found.protection.required_status_checks
        if required is None or required.enforcement_level == "off":
            return []
        return [*map(Required, required.contexts), *(one.meaning for one in required.checks)]

    async def _ruled(self, repository: str, branch: str) -> list[Required]:
        """Return what rulesets require of the branch."""
        path, found = f"/rules/branches/{part(branch)}", list[Required]()
        async for rules in self._known.pages(repository, path, _RULES):
            found += [one for rule in rules for one in rule.required]
        return found


class _Runs(Model):
    total_count: int
    check_runs: list[CheckRun]


class _Combined(Model):
    total_count: int
    statuses: list[CommitStatus]


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


class _Parameters(Model):
    required_status_checks: list[_Context] = Field(default_factory=list)


class _Rule(Model):
    parameters: _Parameters | None = None  # other types of rules have others

    @property
    def required(self) -> list[Required]:
        required = self.parameters.required_status_checks if self.parameters else ()
        return [one.meaning for one in required]


class _App(Model):
    id: int


_RUNS, _COMBINED = TypeAdapter(_Runs), TypeAdapter(_Combined)
_STATUSES, _APP = TypeAdapter(list[CommitStatus]), TypeAdapter(_App)
_BRANCH, _RULES = TypeAdapter(_Branch), TypeAdapter(list[_Rule])
