"""Read a commit's check runs and statuses, and which a branch's protection requires.

https://docs.github.com/en/rest/checks/runs, https://docs.github.com/en/rest/commits/statuses
"""

from pydantic import Field, TypeAdapter

from bridge.core.gates.checks import Check
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

    async def required_checks(self, repository: str, branch: str) -> tuple[str, ...] | None:
        """Return what the branch's protection and the rulesets require; None if neither is seen."""
        seen = await both(
            if_seen(self._protected(repository, branch)),
            if_seen(self._ruled(repository, branch)),
        )
        if all(one is None for one in seen):
            return None
        names = [name for one in seen for name in one or () if not is_ours(name)]
        return tuple(dict.fromkeys(names))

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

    async def _protected(self, repository: str, branch: str) -> list[str] | None:
        """Return what the branch's own protection requires; None: there is one that is not seen."""
        path = f"/branches/{part(branch)}"
        answer = await self._access.ask(repository, "GET", path)
        found = read(_BRANCH, path, answer, SERVICE, reads=True)
        if found.protection is None:
            return None if found.protected else []
        required = found.protection.required_status_checks
        if required is None or required.enforcement_level == "off":
            return []
        return [*required.contexts, *(one.context for one in required.checks)]

    async def _ruled(self, repository: str, branch: str) -> list[str]:
        """Return what rulesets require of the branch."""
        path, names = f"/rules/branches/{part(branch)}", list[str]()
        async for rules in self._known.pages(repository, path, _RULES):
            names += [name for one in rules for name in one.names]
        return names


class _Runs(Model):
    total_count: int
    check_runs: list[CheckRun]


class _Combined(Model):
    total_count: int
    statuses: list[CommitStatus]


class _Context(Model):
    context: str


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
    def names(self) -> list[str]:
        required = self.parameters.required_status_checks if self.parameters else ()
        return [one.context for one in required]


_RUNS, _COMBINED = TypeAdapter(_Runs), TypeAdapter(_Combined)
_BRANCH, _RULES = TypeAdapter(_Branch), TypeAdapter(list[_Rule])
