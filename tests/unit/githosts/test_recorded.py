"""Every recorded payload against the facts noted of it, see tests/fixtures/payloads/README.md."""

import hmac
import json
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from multidict import CIMultiDict

from bridge.core.events import (
    CheckReported,
    Ignored,
    PullRequestClosed,
    PullRequestOpened,
    RefPushed,
)
from tests.worlds.hosts import webhooks_of
from tests.worlds.rows import each_row

PAYLOADS = Path(__file__).parents[2] / "fixtures" / "payloads"
SECRET = "any secret"


def entries(host, which):
    found = json.loads((PAYLOADS / host / "index.json").read_text("utf-8"))
    return [pytest.param(one, id=one["file"]) for one in found if which(one)]


def is_push(entry):
    if entry["event"] == "System Hook":
        return entry["facts"]["event_name"] in ("push", "tag_push")
    return entry["event"] in ("push", "Push Hook", "Tag Push Hook")


def is_pull_request(entry):
    if entry["event"] == "System Hook":
        return entry["facts"]["object_kind"] == "merge_request"
    return entry["event"] in ("pull_request", "Merge Request Hook")


def tells_of_checks(entry):
    return entry["event"] in (
        *("check_run", "check_suite", "status"),
        *("Pipeline Hook", "Job Hook"),
    )


def is_other(entry):
    return not (is_push(entry) or is_pull_request(entry) or tells_of_checks(entry))


def body_of(host, entry):
    return (PAYLOADS / host / entry["file"]).read_bytes()


def read(host, entry, body=None, **more):
    body = body_of(host, entry) if body is None else body
    git_host = webhooks_of(host, SECRET)
    signature = "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    proof = {"X-Hub-Signature-256": signature, "X-Gitlab-Token": SECRET}
    headers = CIMultiDict({**entry["headers"], **proof, **more})
    envelope = git_host.open(headers, 0.0)
    git_host.verify(envelope, body)
    assert envelope.event == entry["event"]
    assert envelope.id == (headers.get("X-GitHub-Delivery") or headers.get("Idempotency-Key"))
    return git_host.parse(envelope.event, envelope.headers, body)


def files(commits):
    every: set[str] = set()
    for commit in commits:
        every.update(commit["added"], commit["removed"], commit["modified"])
    return tuple(sorted(every))


@each_row("entry", entries("github", is_push))
def test_a_github_push_has_its_facts(entry):
    event, facts, sent = read("github", entry), entry["facts"], json.loads(body_of("github", entry))

    assert isinstance(event, RefPushed)
    assert str(event.ref) == facts["ref"]
    assert event.after == facts["after"]
    assert (event.created, event.deleted, bool(event.forced)) == (
        facts["created"],
        facts["deleted"],
        facts["forced"],
    )
    assert (event.commit and event.commit.sha) == facts["head_commit"]
    assert event.repository.name == sent["repository"].get(
        "full_name", f"{sent['repository']['owner']['name']}/{sent['repository']['name']}"
    )
    if "id" in sent["repository"]:
        assert event.repository.id == str(sent["repository"]["id"])
    known = facts["commits"] and not (event.created or event.deleted or event.forced)
    assert event.paths == (files(sent["commits"]) if known else None)
    assert bool(event.paths_note) is (event.paths is None)


@each_row("entry", entries("github", is_push))
def test_a_github_push_means_the_same_as_a_form(entry):
    form = b"payload=" + quote_plus(body_of("github", entry)).encode()
    content_type = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

    assert read("github", entry, form, **content_type) == read("github", entry)


@each_row("entry", entries("gitlab", is_push))
def test_a_gitlab_push_has_its_facts(entry):
    event, facts, sent = read("gitlab", entry), entry["facts"], json.loads(body_of("gitlab", entry))

    assert isinstance(event, RefPushed)
    assert str(event.ref) == facts["ref"]
    assert (event.created, event.deleted) == (facts["new"], facts["deleted"])
    assert event.repository.name == facts["project"]
    assert event.repository.id == str(sent["project_id"])
    assert (event.commit and event.commit.sha) == sent["checkout_sha"]
    if event.commit:
        assert (event.commit.sha == event.after) is facts["checkout_sha_is_after"]
    complete = facts["commits"] == facts["total_commits_count"] != 0
    known = complete and entry["event"] == "Push Hook" and not event.created
    assert event.paths == (files(sent["commits"]) if known else None)
    assert bool(event.paths_note) is (event.paths is None)


@each_row("entry", entries("github", is_pull_request))
def test_a_github_pull_request_counts_when_it_has_ended_or_is_opened_and_no_forks(entry):
    event, sent = read("github", entry), json.loads(body_of("github", entry))

    head = sent["pull_request"]["head"]
    own = head["repo"]["id"] == sent["repository"]["id"]
    if sent["action"] == "closed":
        assert isinstance(event, PullRequestClosed)
        assert (event.repository.name, event.number) == (
            sent["repository"]["full_name"],
            sent["number"],
        )
        return
    if sent["action"] not in ("opened", "reopened") or not own:
        assert isinstance(event, Ignored)
        assert ("fork" if sent["action"] == "opened" else sent["action"]) in event.reason
        return
    assert isinstance(event, PullRequestOpened)
    assert event.repository.name == sent["repository"]["full_name"]
    assert event.repository.id == str(sent["repository"]["id"])
    assert (event.number, event.branch, event.commit) == (
        sent["number"],
        head["ref"],
        head["sha"],
    )


@each_row("entry", entries("gitlab", is_pull_request))
def test_a_gitlab_merge_request_counts_when_it_has_ended_or_is_opened_and_no_forks(entry):
    event, sent = read("gitlab", entry), json.loads(body_of("gitlab", entry))

    about = sent["object_attributes"]
    own = about["source_project_id"] == about["target_project_id"]
    if about.get("action") in ("merge", "close"):
        assert isinstance(event, PullRequestClosed)
        assert (event.repository.id, event.number) == (
            str(about["target_project_id"]),
            about["iid"],
        )
        return
    if about.get("action") not in ("open", "reopen") or not own:
        assert isinstance(event, Ignored)
        assert "merge request" in event.reason
        return
    assert isinstance(event, PullRequestOpened)
    assert event.repository.name == sent["project"]["path_with_namespace"]
    assert event.repository.id == str(about["target_project_id"])
    assert (event.number, event.branch, event.commit) == (
        about["iid"],
        about["source_branch"],
        about["last_commit"]["id"],
    )


@each_row("entry", entries("github", tells_of_checks))
def test_a_github_check_has_its_facts(entry):
    event, facts, sent = read("github", entry), entry["facts"], json.loads(body_of("github", entry))

    assert isinstance(event, CheckReported)
    assert event.commit == facts["sha"]
    assert event.repository.name == sent["repository"]["full_name"]
    assert event.repository.id == str(sent["repository"]["id"])
    check = event.check
    assert (check and check.name) == facts.get("check")
    assert (check and str(check.state)) == facts.get("state")
    assert (check and check.app) == (facts.get("app", "") if check else None)


@each_row("entry", entries("gitlab", tells_of_checks))
def test_a_gitlab_pipeline_says_that_checks_have_changed(entry):
    event, facts, sent = read("gitlab", entry), entry["facts"], json.loads(body_of("gitlab", entry))

    assert isinstance(event, CheckReported)
    assert (event.commit, event.check) == (facts["sha"], None)
    assert event.repository.name == facts["project"]
    assert event.repository.id == str(sent.get("project_id") or sent["project"]["id"])


@each_row("entry", entries("github", is_other))
def test_other_github_events_are_ignored_by_name(entry):
    event = read("github", entry)

    assert isinstance(event, Ignored)
    assert entry["event"] in event.reason


@each_row("entry", entries("gitlab", is_other))
def test_other_gitlab_events_are_ignored_by_name(entry):
    event = read("gitlab", entry)

    assert isinstance(event, Ignored)
    facts = entry["facts"]
    name = entry["event"]
    if name == "System Hook":
        name = facts["event_name"] or facts["object_kind"]
    assert name in event.reason
