"""What hosts' events say of checks; a deployment passes only after a list of them all."""

import json
from typing import Any

import pytest

from bridge.core.checks import Check, CheckState
from bridge.core.errors import MalformedPayload
from bridge.core.events import CheckReported, Event, Ignored
from bridge.githosts import HOSTS
from bridge.githosts.github.webhooks import CheckRun
from tests.worlds.rows import each_row

SHA = "a" * 40
PASSED, FAILED, PENDING = CheckState.PASSED, CheckState.FAILED, CheckState.PENDING
REPOSITORY = {"id": 7, "name": "r", "full_name": "o/r", "html_url": "https://github.com/o/r"}
PROJECT = {"id": 7, "path_with_namespace": "o/r", "web_url": "https://gitlab.com/o/r"}
URL = "https://ci.example.com/1"


def parsed(host: str, event: str, body: Any) -> Event:
    return HOSTS[host].reader().parse(event, {}, json.dumps(body).encode())


def check_in(event: Event) -> Check | None:
    assert isinstance(event, CheckReported)
    assert (event.commit, event.repository.id, event.repository.name) == (SHA, "7", "o/r")
    return event.check


# ── GitHub ───────────────────────────────────────────────────────────────────


def run(action: str = "completed", **more: Any) -> dict[str, Any]:
    about = {"id": 1, "name": "build", "head_sha": SHA, "status": "completed"}
    about |= {"conclusion": "success", "app": {"name": "GitHub Actions"}, "html_url": URL}
    return {"action": action, "check_run": about | more, "repository": REPOSITORY}


def test_a_check_run_is_a_check_of_its_app() -> None:
    found = check_in(parsed("github", "check_run", run()))

    assert found == Check("build", PASSED, "GitHub Actions", URL)


@each_row(
    ("status", "conclusion", "state"),
    [
        *(("completed", word, PASSED) for word in ("success", "neutral", "skipped")),
        *(("completed", word, FAILED) for word in ("failure", "cancelled", "timed_out")),
        *(("completed", word, FAILED) for word in ("action_required", "startup_failure", "stale")),
        *(("completed", word, PENDING) for word in ("splendid", "", None)),
        *((word, None, PENDING) for word in ("queued", "in_progress", "waiting", "new", None)),
        ("in_progress", "success", PENDING),
    ],
)
def test_what_is_not_known_to_have_passed_has_not(
    status: str | None, conclusion: str | None, state: CheckState
) -> None:
    assert CheckRun(id=1, name="a", status=status, conclusion=conclusion).meaning().state is state


def test_a_run_that_is_to_run_again_has_not_passed_yet() -> None:
    found = check_in(parsed("github", "check_run", run("rerequested")))

    assert found is not None
    assert found.state is PENDING


@pytest.mark.parametrize("action", ["completed", "requested", "rerequested"])
def test_a_check_suite_says_only_that_something_has_changed(action: str) -> None:
    body = {"action": action, "check_suite": {"head_sha": SHA}, "repository": REPOSITORY}

    assert check_in(parsed("github", "check_suite", body)) is None


def test_other_actions_of_a_check_suite_are_ignored() -> None:
    body = {"action": "archived", "check_suite": {"head_sha": SHA}, "repository": REPOSITORY}

    assert parsed("github", "check_suite", body) == Ignored(
        "check_suite archived is not used, its check runs are"
    )


def status(context: str = "ci/jenkins", state: str = "success") -> dict[str, Any]:
    about = {"id": 1, "sha": SHA, "context": context, "state": state, "target_url": URL}
    return about | {"repository": REPOSITORY}


@pytest.mark.parametrize("host", ["github", "gitea"])
@pytest.mark.parametrize(
    ("word", "state"),
    [("success", PASSED), ("failure", FAILED), ("error", FAILED), ("pending", PENDING)],
)
def test_a_status_is_a_check(host: str, word: str, state: CheckState) -> None:
    found = check_in(parsed(host, "status", status(state=word)))

    assert found == Check("ci/jenkins", state, "", URL)


@pytest.mark.parametrize("host", ["github", "gitea"])
def test_our_own_status_is_no_check(host: str) -> None:
    assert parsed(host, "status", status("dokploy/shop/web")) == Ignored(
        "status dokploy/shop/web is the bridge's own, which no deployment waits for"
    )


@each_row("event", ["check_run", "check_suite", "status"])
@each_row("body", [[], {}, {"action": "completed"}, run(head_sha="main"), run(id="1")])
def test_what_github_does_not_send_is_malformed(event: str, body: Any) -> None:
    with pytest.raises(MalformedPayload, match="github"):
        parsed("github", event, body)


def test_an_address_that_is_not_safe_to_open_is_left_out() -> None:
    found = check_in(parsed("github", "check_run", run(html_url="javascript:x", details_url=URL)))

    assert found is not None
    assert found.url == URL


# ── GitLab ───────────────────────────────────────────────────────────────────


def pipeline(source: str | None = "push") -> dict[str, Any]:
    about = {"id": 31, "sha": SHA, "ref": "main", "status": "failed", "source": source}
    return {"object_kind": "pipeline", "object_attributes": about, "project": PROJECT}


@pytest.mark.parametrize("source", ["push", "merge_request_event", "schedule", None])
def test_a_pipeline_says_only_that_something_has_changed(source: str | None) -> None:
    """Its state also depends on our own statuses, which GitLab adds to it."""
    assert check_in(parsed("gitlab", "Pipeline Hook", pipeline(source))) is None


def test_an_external_pipeline_may_be_our_own_status() -> None:
    ignored = parsed("gitlab", "Pipeline Hook", pipeline("external"))

    assert isinstance(ignored, Ignored)
    assert "external pipeline" in ignored.reason


def job(homepage: str = "https://gitlab.com/o/r") -> dict[str, Any]:
    about = {"homepage": homepage, "git_http_url": "https://gitlab.com/o/r.git"}
    return {"object_kind": "build", "sha": SHA, "project_id": 7, "repository": about}


def test_a_job_says_only_that_something_has_changed() -> None:
    assert check_in(parsed("gitlab", "Job Hook", job())) is None


@each_row("body", [[], {}, job("https://["), {**job(), "sha": "main"}, {**job(), "project_id": ""}])
def test_what_gitlab_does_not_send_is_malformed(body: Any) -> None:
    for event in ("Job Hook", "Pipeline Hook"):
        with pytest.raises(MalformedPayload, match="gitlab"):
            parsed("gitlab", event, body)


# ── Gitea and Forgejo ────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["warning", "skipped"])
def test_what_gitea_counts_as_a_success_has_passed(word: str) -> None:
    found = check_in(parsed("gitea", "status", status(state=word)))

    assert found is not None
    assert found.state is PASSED


@pytest.mark.parametrize("event", ["workflow_run", "workflow_job"])
def test_a_workflow_of_gitea_says_only_that_something_has_changed(event: str) -> None:
    body = {"action": "completed", event: {"head_sha": SHA}, "repository": REPOSITORY}

    assert check_in(parsed("gitea", event, body)) is None


@pytest.mark.parametrize("end", ["success", "failure", "recover"])
def test_a_workflow_of_forgejo_says_only_that_something_has_changed(end: str) -> None:
    body = {"action": end, "run": {"commit_sha": SHA, "repository": REPOSITORY}}

    assert check_in(parsed("gitea", f"action_run_{end}", body)) is None


@each_row("event", ["status", "workflow_run", "workflow_job", "action_run_success"])
@each_row("body", [[], {}, {"repository": REPOSITORY}, {"run": {"commit_sha": "main"}}])
def test_what_gitea_does_not_send_is_malformed(event: str, body: Any) -> None:
    with pytest.raises(MalformedPayload, match="gitea"):
        parsed("gitea", event, body)
