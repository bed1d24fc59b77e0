"""Dokploy's answers become the bridge's records."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from bridge.backends.dokploy.models import DeploymentRecord, Job, Project, Service
from bridge.backends.dokploy.reads import app_of, deployments_in, jobs_in, listed_in, source_of
from bridge.core.apps import App, Source, SourceType
from bridge.ports.backends import Progress
from tests.worlds.rows import each_row

PROJECTS, DEPLOYMENTS = TypeAdapter(list[Project]), TypeAdapter(list[DeploymentRecord])
JOBS = TypeAdapter(list[Job])
SHA = "b77b1ad92971bac954af3beb8f1a844954dab147"


@each_row(
    ("said", "source"),
    [
        (
            {"sourceType": "github", "owner": "my-org", "repository": "mono", "branch": "main"},
            Source(SourceType.GITHUB, "my-org/mono", branch="main"),
        ),
        ({"sourceType": "github", "owner": None, "repository": None}, None),
        (
            {
                "sourceType": "gitlab",
                "gitlabOwner": "sub",
                "gitlabRepository": "My Project",
                "gitlabPathNamespace": "my-group/sub/my-project",
                "gitlabProjectId": 12345,
                "gitlabBranch": "feature/a",
            },
            Source(SourceType.GITLAB, "my-group/sub/my-project", "12345", branch="feature/a"),
        ),
        (
            {
                "sourceType": "git",
                "customGitUrl": "git@Git.example.com:o/R.git",
                "customGitBranch": "x",
            },
            Source(SourceType.GIT, url="git.example.com/o/r", branch="x"),
        ),
        ({"sourceType": "git", "customGitUrl": None}, None),
        (
            {"sourceType": "docker", "dockerImage": "nginx:1.27"},
            Source(SourceType.DOCKER, image="nginx:1.27"),
        ),
        ({"sourceType": "docker", "dockerImage": None}, None),
        (
            {
                "sourceType": "bitbucket",
                "bitbucketOwner": "team",
                "bitbucketRepository": "My Repo",
                "bitbucketRepositorySlug": "my-repo",
                "bitbucketBranch": "main",
            },
            Source(SourceType.BITBUCKET, "team/my-repo", branch="main"),
        ),
        (
            {
                "sourceType": "gitea",
                "giteaOwner": "me",
                "giteaRepository": "r",
                "giteaBranch": "main",
            },
            Source(SourceType.GITEA, "me/r", branch="main"),
        ),
        (
            {
                "sourceType": "gitea",
                "giteaOwner": "me",
                "giteaRepository": "R",
                "giteaBranch": "main",
                "gitea": {"giteaId": "gt_1", "giteaUrl": "http://Git.example.com:3000/"},
            },
            Source(SourceType.GITEA, "me/R", url="git.example.com:3000/me/r", branch="main"),
        ),
        ({"sourceType": "drop"}, Source(SourceType.DROP)),
        ({"sourceType": "raw"}, Source(SourceType.RAW)),
        ({"sourceType": "forgejo"}, None),
        ({"sourceType": None}, None),
    ],
)
def test_a_source_is_read_from_its_own_columns(said: dict[str, Any], source: Source | None) -> None:
    assert source_of(Service.model_validate(said)) == source


def test_an_app_s_page_is_where_the_dashboard_has_it() -> None:
    app = {"applicationId": "a1", "name": "web"}
    stack = {"composeId": "c/1", "name": "db"}
    env = {"environmentId": "e1", "name": "staging", "applications": [app], "compose": [stack]}
    projects = PROJECTS.validate_python(
        [
            {"projectId": "p1", "name": "shop", "environments": [env]},
            {"projectId": "p2", "name": "old", "applications": [app]},
            {"name": "says too little", "environments": [env]},
        ]
    )

    found = [one.app.page for one in listed_in(projects, "dokploy", "https://d.example")]

    assert found == [
        "https://d.example/dashboard/project/p1/environment/e1/services/application/a1",
        "https://d.example/dashboard/project/p1/environment/e1/services/compose/c%2F1",
        "https://d.example/dashboard/project/p2/services/application/a1",
        None,
        None,
    ]


def domain(host: str | None, **others: Any) -> dict[str, Any]:
    """A domain as the server keeps it; its port is the container's."""
    return {"domainId": "d1", "host": host, "https": True, "port": 3000, "path": "/"} | others


@each_row(
    ("domains", "url"),
    [
        (None, None),
        ([], None),
        ([domain("Shop.example.com")], "https://shop.example.com"),
        ([domain("shop.example.com", https=False)], "http://shop.example.com"),
        ([domain("example.com", path="/shop/")], "https://example.com/shop"),
        ([domain("example.com", path=None, https=None)], "http://example.com"),
        ([domain("plain.example", https=False), domain("safe.example")], "https://safe.example"),
        (
            [domain("new.example", createdAt="2026-02"), domain("old.example", createdAt="2025")],
            "https://old.example",
        ),
        ([domain("pr-7.example", previewDeploymentId="p1")], None),
        ([domain("evil.example/@x y")], None),
        ([domain("a.example:81)![x](//b.example")], None),
        ([domain(None), domain("")], None),
        ([domain("a" * 260)], None),
    ],
)
def test_an_app_is_served_at_its_domain(domains: Any, url: str | None) -> None:
    projects = PROJECTS.validate_python([{
        "name": "old", "applications": [{"applicationId": "a1", "name": "web"}],
    }])  # fmt: skip

    (listed,) = listed_in(projects, "dokploy", "https://d")

    found = app_of(listed.app, Service.model_validate({"domains": domains}))

    assert found.url == url


def record(**fields: Any) -> dict[str, Any]:
    return {
        "deploymentId": "d1",
        "title": "t",
        "description": "",
        "status": "done",
        "createdAt": "2026-11-24T22:40:37.334Z",
        "startedAt": None,
        "finishedAt": None,
        "errorMessage": None,
    } | fields


@each_row(
    ("text", "seconds"),
    [
        ("2026-11-24T22:40:37.334Z", 1795560037.334),
        ("2026-11-24T22:40:37.334", 1795560037.334),
        ("2026-11-24 22:40:07.755296+00", 1795560007.755296),
        ("2026-11-24T23:40:37.334+01:00", 1795560037.334),
    ],
)
def test_times_are_seconds_whatever_their_spelling(text: str, seconds: float) -> None:
    (deployment,) = deployments_in(DEPLOYMENTS.validate_python([record(createdAt=text)]))

    assert deployment.created_at == pytest.approx(seconds, abs=1e-6)
    assert deployment.started_at is None
    assert deployment.finished_at is None


@each_row(
    ("text", "seconds"),
    [("2026-11-24T22:40:37.334Z", 1795560037.334), ("of old", None), (None, None), (7, 7.0)],
)
def test_an_app_knows_when_it_was_made_and_none_is_lost_for_that(
    text: Any, seconds: float | None
) -> None:
    listed = App("a", "a", "shop")

    assert app_of(listed, Service.model_validate({"createdAt": text})).made_at == seconds


@each_row(
    ("description", "commit"),
    [
        (f"Commit: {SHA}", SHA),
        (f"Commit: {SHA}\n", SHA),
        ("Commit: " + "ab" * 32, "ab" * 32),
        (f"corr=br-1; Commit: {SHA}", None),
        (f"Commit: {SHA} by us", None),
        (f"Commit: {SHA[:12]}", None),
        (None, None),
    ],
)
def test_the_commit_is_only_what_the_server_writes(
    description: str | None, commit: str | None
) -> None:
    (deployment,) = deployments_in(DEPLOYMENTS.validate_python([record(description=description)]))

    assert deployment.commit == commit


@each_row("status", ["paused", None])
def test_an_unknown_status_does_not_claim_an_end(status: str | None) -> None:
    (deployment,) = deployments_in(DEPLOYMENTS.validate_python([record(status=status)]))

    assert deployment.status is Progress.RUNNING


def test_the_queue_names_apps_and_stacks_but_no_previews_and_no_finished_jobs() -> None:
    def job(state: str, **data: Any) -> dict[str, Any]:
        return {"id": "job-1", "data": {"titleLog": "t", **data}, "state": state}

    jobs = jobs_in(
        JOBS.validate_python(
            [
                job("active", applicationId="a1", descriptionLog="corr=1"),
                job("waiting", composeId="c1", applicationType="compose"),
                job("waiting", applicationId="a1", applicationType="application-preview"),
                job("completed", applicationId="a1"),
                job("waiting"),
            ]
        )
    )

    assert [(job.app, job.description, job.active) for job in jobs] == [
        ("c1", "", False),
        ("a1", "corr=1", True),
    ]
