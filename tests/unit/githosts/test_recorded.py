"""Every recorded payload against the facts noted of it, see tests/fixtures/payloads/README.md."""

import hmac
import json
from datetime import datetime
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from multidict import CIMultiDict

from bridge.core.events import (
    CheckReported,
    Ignored,
    PullRequestChanged,
    RefPushed,
)
from bridge.core.pulls import PullRequest
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
def test_a_github_pull_request_is_what_was_sent(entry):
    event, sent = read("github", entry), json.loads(body_of("github", entry))
    pull, head = sent["pull_request"], sent["pull_request"]["head"]

    assert isinstance(event, PullRequestChanged)
    assert event.repository.name == sent["repository"]["full_name"]
    assert event.repository.id == str(sent["repository"]["id"])
    assert event.opened is (sent["action"] in ("opened", "reopened"))
    assert event.pull == PullRequest(
        number=sent["number"],
        head=head["ref"],
        head_sha=head["sha"],
        open=sent["action"] != "closed",
        merge_sha=pull["merge_commit_sha"] if pull["merged"] else None,
        own=head["repo"]["full_name"] == sent["repository"]["full_name"],
        base=pull["base"]["ref"],
        title=pull["title"],
        author=pull["user"]["login"],
        draft=sent["action"] == "converted_to_draft",
        labels=frozenset(one["name"] for one in pull["labels"]),
        url=pull["html_url"],
        updated_at=datetime.fromisoformat(pull["updated_at"]).timestamp(),
    )


@each_row("entry", entries("gitlab", is_pull_request))
def test_a_gitlab_merge_request_is_what_was_sent(entry):
    event, sent = read("gitlab", entry), json.loads(body_of("gitlab", entry))
    about, action = sent["object_attributes"], sent["object_attributes"].get("action")

    if action in (None, "approved"):
        assert isinstance(event, Ignored)
        assert f"merge request {action or 'without an action'} is not used" in event.reason
        return
    by_author = sent["user"].get("id") == about["author_id"]
    when = about["updated_at"].replace(" UTC", "+00:00")
    assert isinstance(event, PullRequestChanged)
    assert event.repository.name == sent["project"]["path_with_namespace"]
    assert event.repository.id == str(about["target_project_id"])
    assert event.opened is (action in ("open", "reopen"))
    assert event.pull == PullRequest(
        number=about["iid"],
        head=about["source_branch"],
        head_sha=about["last_commit"]["id"],
        open=action not in ("merge", "close"),
        merge_sha=about["merge_commit_sha"] if action == "merge" else None,
        own=about["source"]["path_with_namespace"] == about["target"]["path_with_namespace"],
        base=about["target_branch"],
        title=about["title"],
        author=sent["user"]["username"] if by_author else f"id:{about['author_id']}",
        draft=about.get("draft", about["work_in_progress"]),
        labels=frozenset(one["title"] for one in sent["labels"]),
        url=about["url"],
        updated_at=datetime.fromisoformat(when).timestamp(),
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
