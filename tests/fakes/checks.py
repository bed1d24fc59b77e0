"""Checks of commits at the fake hosts: what they store, and what the fake GitHub answers."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.github_examples import REPOSITORY, example
from tests.fakes.pages import page

if TYPE_CHECKING:
    from tests.fakes.github import FakeGithub


ACTIONS = 15368
"""The number of GitHub Actions among the Apps."""

Needed = str | tuple[str, int]
"""A check that is required: by its name, or also of an App with this number."""


@dataclass
class FakeRun:
    """A check run of an app on GitHub, or a job of a pipeline on GitLab, in the host's words."""

    id: int
    sha: str
    name: str
    state: str
    app: str = "GitHub Actions"
    app_id: int = ACTIONS
    pipeline: int = 0
    may_fail: bool = False


@dataclass
class FakePipeline:
    """A pipeline on GitLab."""

    id: int
    sha: str
    status: str
    ref: str = "main"
    source: str = "push"


@dataclass
class FakeChecks:
    """The checks of a repository, besides its commit statuses."""

    runs: list[FakeRun] = field(default_factory=list)
    """Check runs on GitHub, jobs on GitLab, oldest first."""
    pipelines: list[FakePipeline] = field(default_factory=list)
    required: dict[str, list[Needed]] = field(default_factory=dict)
    """What each branch's protection requires; on GitLab "" stands for all branches."""
    ruled: dict[str, list[Needed]] = field(default_factory=dict)
    """What rulesets on GitHub require of each branch."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, sha: str, name: str, state: str, **more: Any) -> FakeRun:
        """Add a check run or a job."""
        made = FakeRun(next(self.numbers), sha, name, state, **more)
        self.runs.append(made)
        return made

    def pipeline(self, sha: str, status: str, **more: Any) -> FakePipeline:
        """Add a pipeline."""
        made = FakePipeline(next(self.numbers), sha, status, **more)
        self.pipelines.append(made)
        return made


def status_of(sha: str, context: str, state: str, by: str = "octocat") -> dict[str, Any]:
    """Return a commit status as somebody else sets it, in the words of every host."""
    return {"sha": sha, "context": context, "name": context, "state": state, "by": by}


# ── GitHub ────────────────────────────────────────────────────────────────────────────────────────


def checks_routes(fake: "FakeGithub") -> list[web.RouteDef]:
    answers = _Answers(fake)
    return [
        web.get(f"{REPOSITORY}/commits/{{sha}}/status", answers.combined),
        web.get(f"{REPOSITORY}/commits/{{sha}}/statuses", answers.statuses),
        web.get(f"{REPOSITORY}/commits/{{sha}}/check-runs", answers.runs),
        web.get(f"{REPOSITORY}/rules/branches/{{branch}}", answers.rules),
    ]


@dataclass
class _Answers:
    fake: "FakeGithub"

    async def combined(self, request: web.Request) -> web.Response:
        """Return the newest status of each context."""
        repository, sha = self.fake.repository_in(request), request.match_info["sha"]
        whole = example(f"{REPOSITORY}/commits/{{ref}}/status")
        newest = {
            one["context"]: whole["statuses"][0]
            | {"id": number, "context": one["context"], "state": one["state"]}
            | {"target_url": one.get("target_url")}
            for number, one in enumerate(repository.statuses, 1)
            if one["sha"] == sha
        }
        told = {"sha": sha, "total_count": len(newest)}
        found = list(newest.values())[: self.fake.lists_at_most]
        return page(request, found, of=lambda some: whole | told | {"statuses": some})

    async def statuses(self, request: web.Request) -> web.Response:
        """Return all statuses, the latest first, with those who have set them."""
        repository, sha = self.fake.repository_in(request), request.match_info["sha"]
        form = example(f"{REPOSITORY}/commits/{{ref}}/statuses")[0]
        found = [
            form
            | {"id": number, "context": one["context"], "state": one["state"]}
            | {"creator": form["creator"] | {"login": one.get("by", "octocat")}}
            for number, one in enumerate(repository.statuses, 1)
            if one["sha"] == sha
        ]
        return page(request, found[::-1])

    async def runs(self, request: web.Request) -> web.Response:
        """Return the newest run of each name; those of other suites are not told apart here."""
        assert request.query.get("filter") == "latest"
        repository, sha = self.fake.repository_in(request), request.match_info["sha"]
        form = example(f"{REPOSITORY}/commits/{{ref}}/check-runs")["check_runs"][0]
        found = [form | run_of(one) for one in repository.checks.runs if one.sha == sha]
        told = {"total_count": len(found)}
        return page(
            request,
            found[: self.fake.lists_at_most],
            of=lambda some: told | {"check_runs": some},
        )

    async def rules(self, request: web.Request) -> web.Response:
        names = self.fake.repository_in(request).checks.ruled.get(
            unquote(request.match_info["branch"]), []
        )
        source = {"ruleset_source_type": "Repository", "ruleset_source": "mono", "ruleset_id": 1}
        checks = [
            {"context": one}
            if isinstance(one, str)
            else {"context": one[0], "integration_id": one[1]}
            for one in names
        ]
        policy = {"strict_required_status_checks_policy": False}
        rules: list[dict[str, Any]] = [{"type": "creation"} | source]
        if names:
            told = {"parameters": policy | {"required_status_checks": checks}}
            rules.append({"type": "required_status_checks"} | told | source)
        return page(request, rules)


def run_of(one: FakeRun) -> dict[str, Any]:
    """Return a check run as events and the API show it; a state with a conclusion is one."""
    ended = one.state not in ("queued", "in_progress", "waiting", "requested", "pending")
    form = example(f"{REPOSITORY}/commits/{{ref}}/check-runs")["check_runs"][0]
    return {
        "id": one.id,
        "name": one.name,
        "head_sha": one.sha,
        "status": "completed" if ended else one.state,
        "conclusion": one.state if ended else None,
        "app": form["app"] | {"name": one.app, "id": one.app_id},
        "html_url": f"https://github.com/my-org/mono/runs/{one.id}",
    }


def protection_of(needed: list[Needed] | None) -> dict[str, Any]:
    """Return what a branch shows of its protection, which requires these checks; None: none."""
    both = [(one, None) if isinstance(one, str) else one for one in needed or []]
    required = {
        "enforcement_level": "off" if needed is None else "non_admins",
        "contexts": [name for name, _ in both],
        "checks": [{"context": name, "app_id": app} for name, app in both],
    }
    protection = {"enabled": needed is not None, "required_status_checks": required}
    return {"protected": needed is not None, "protection": protection}
