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


def test_other_actions_of_a_check_suite_are_ignored() -> None:
    body = {"action": "archived", "check_suite": {"head_sha": SHA}, "repository": REPOSITORY}

    assert parsed("github", "check_suite", body) == Ignored(
        "check_suite archived is not used, its check runs are"
    )


STATES = (("success", PASSED), ("failure", FAILED), ("error", FAILED), ("pending", PENDING))


def status(context: str = "ci/jenkins", state: str = "success") -> dict[str, Any]:
    about = {"id": 1, "sha": SHA, "context": context, "state": state, "target_url": URL}
    return about | {"repository": REPOSITORY}


@each_row(
    ("host", "word", "state"),
    [
        *(("github", *one) for one in STATES),
        *(("gitea", *one) for one in STATES),
        *(("gitea", word, PASSED) for word in ("warning", "skipped")),
    ],
)
def test_a_status_is_a_check(host: str, word: str, state: CheckState) -> None:
    found = check_in(parsed(host, "status", status(state=word)))

    assert found == Check("ci/jenkins", state, "", URL)


@each_row("host", ["github", "gitea"])
def test_our_own_status_is_no_check(host: str) -> None:
    assert parsed(host, "status", status("dokploy/shop/web")) == Ignored(
        "status dokploy/shop/web is the bridge's own, which no deployment waits for"
    )


# ── GitLab ───────────────────────────────────────────────────────────────────


def pipeline(source: str | None = "push") -> dict[str, Any]:
    about = {"id": 31, "sha": SHA, "ref": "main", "status": "failed", "source": source}
    return {"object_kind": "pipeline", "object_attributes": about, "project": PROJECT}


@each_row("source", ["push", "merge_request_event", "schedule", None])
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


@each_row("body", [[], {}, job("https://["), {**job(), "sha": "main"}, {**job(), "project_id": ""}])
def test_what_gitlab_does_not_send_is_malformed(body: Any) -> None:
    for event in ("Job Hook", "Pipeline Hook"):
        with pytest.raises(MalformedPayload, match="gitlab"):
            parsed("gitlab", event, body)


# ── Gitea and Forgejo ────────────────────────────────────────────────────────


@each_row("event", ["workflow_run", "workflow_job"])
def test_a_workflow_of_gitea_says_only_that_something_has_changed(event: str) -> None:
    body = {"action": "completed", event: {"head_sha": SHA}, "repository": REPOSITORY}

    assert check_in(parsed("gitea", event, body)) is None
