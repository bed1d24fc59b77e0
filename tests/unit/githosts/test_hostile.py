"""Whatever a sender sends, it gets an answer of the error tree, never a traceback."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from bridge.core.errors import BridgeError, MalformedPayload
from bridge.core.events import LONGEST_NAME, RefPushed
from bridge.githosts import HOSTS as ALL
from bridge.githosts.base.webhook import LONGEST_EMAIL
from bridge.githosts.gitea.webhooks import Gitea
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.gitlab.webhooks import GitLab
from bridge.githosts.reader import LENGTH, read_head, told
from bridge.ports.githosts import GitHost
from tests.worlds.rows import each_row

DIGITS = "0" * 64
SIGNATURE = f"sha256={DIGITS}"
HOSTS: dict[str, GitHost] = {
    "github": GitHub(["secret"]),
    "gitlab": GitLab(["token"]),
    "gitea": Gitea(["secret"]),
    "gitlab signed": GitLab(["token"], ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]),
}
EVENTS = [
    *("push", "ping", "pull_request", "delete", "status", "check_run", "check_suite"),
    *("workflow_run", "workflow_job", "action_run_failure", "Pipeline Hook", "Job Hook"),
    *("Push Hook", "Tag Push Hook", "System Hook", "Merge Request Hook", "Note Hook"),
]
NAMES = [
    *("X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery", "Content-Type"),
    *("X-Gitlab-Event", "X-Gitlab-Token", "X-Gitlab-Event-UUID", "Idempotency-Key"),
    *("webhook-id", "webhook-timestamp", "webhook-signature"),
    *("X-Gitea-Event", "X-Gitea-Delivery", "X-Gitea-Signature", "X-Forgejo-Signature"),
]
VALUES = st.text() | st.sampled_from(
    [
        SIGNATURE,
        DIGITS,
        "push",
        "token",
        "0",
        "1e9",
        "v1," + "A" * 43 + "=",
        "x" * 300,
        "\udcff",
        "é",
    ]
)
HEADERS = st.dictionaries(st.sampled_from(NAMES), VALUES)

OF_PULLS = {"github": "pull_request", "gitlab": "Merge Request Hook", "gitea": "pull_request"}

SHA = st.sampled_from(["a" * 40, "0" * 40, "0" * 64, "x"])
ANY = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
COMMIT = st.fixed_dictionaries(
    {"id": SHA},
    optional={
        **{key: ANY | st.lists(ANY, max_size=2) for key in ("added", "removed", "modified")},
        **dict.fromkeys(("message", "url"), ANY),
        "author": ANY | st.dictionaries(st.sampled_from(["name", "username"]), ANY),
    },
)
REPOSITORY_KEYS = ["id", "name", "full_name", "path_with_namespace", "url", "web_url", "clone_url"]
REPOSITORY = st.dictionaries(st.sampled_from(REPOSITORY_KEYS), ANY | st.just("o/r"))
NESTED = st.recursive(
    ANY, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
PUSH = st.fixed_dictionaries(
    {
        "ref": st.sampled_from(["refs/heads/a", "refs/tags/v1", "refs/x", "refs/heads/", ""]),
        "before": SHA,
        "after": SHA,
        "repository": REPOSITORY,
        "project": REPOSITORY,
        "project_id": st.just(7) | ANY,
        "event_name": st.sampled_from(["push", "tag_push", "other"]),
    },
    optional={
        "commits": ANY | st.lists(COMMIT | ANY, max_size=3),
        "head_commit": ANY | COMMIT,
        "checkout_sha": SHA | ANY,
        "total_commits_count": ANY,
        "total_commits": ANY,
        "ref_type": ANY | st.sampled_from(["branch", "tag"]),
        "action": ANY | st.just("opened"),
        "number": ANY,
        "pull_request": NESTED | st.fixed_dictionaries({"head": NESTED | REPOSITORY}),
        "push_options": NESTED,
        "pusher": ANY | REPOSITORY,
        **dict.fromkeys(("created", "deleted", "forced", "user_name", "user_username"), ANY),
    },
)
LABELS = ANY | st.lists(ANY | st.fixed_dictionaries({"name": ANY, "title": ANY}), max_size=2)
TIMES = ANY | st.sampled_from(
    [
        *("2026-01-31T12:00:00Z", "2026-01-31 12:00:00 UTC", "0001-01-01T00:00:00+14:00"),
        *("9999-12-31T23:59:59-23:59", "2026-01-31", "-1", "2026-W05-6T12:00:00.1", " UTC"),
    ]
)
SIDE = st.fixed_dictionaries(
    {"ref": st.just("topic") | ANY, "sha": SHA},
    optional={"repo": ANY | REPOSITORY, "repo_id": st.just(7) | ANY},
)
PULL = st.fixed_dictionaries(
    {"head": SIDE},
    optional={
        "base": SIDE | ANY,
        "user": ANY | st.fixed_dictionaries({"login": ANY}),
        "labels": LABELS,
        "updated_at": TIMES,
        **dict.fromkeys(("number", "state", "title", "draft", "html_url"), ANY),
        **dict.fromkeys(("merged", "merged_at", "merge_commit_sha"), ANY),
    },
)
MERGE = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["open", "update", "merge", "approved"]) | ANY,
        "iid": st.just(1) | ANY,
        "source_branch": st.just("topic") | ANY,
        "source_project_id": st.just(7) | ANY,
        "target_project_id": st.just(7) | ANY,
    },
    optional={
        "last_commit": ANY | st.fixed_dictionaries({"id": SHA}),
        "labels": LABELS,
        "updated_at": TIMES,
        **dict.fromkeys(("state", "oldrev", "author_id", "title", "draft", "url"), ANY),
        **dict.fromkeys(("target_branch", "work_in_progress", "merge_commit_sha"), ANY),
    },
)
CHANGES = ANY | st.dictionaries(st.sampled_from(["title", "base", "ref", "labels", "body"]), ANY)
PULL_EVENT = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["opened", "edited", "closed", "synchronized", "labeled"]),
        "pull_request": PULL,
        "repository": st.just({"id": 7, "name": "r", "full_name": "o/r"}) | REPOSITORY,
        "object_attributes": MERGE,
        "project": st.just({"id": 7, "path_with_namespace": "o/r"}) | REPOSITORY,
    },
    optional={
        "number": st.just(1) | ANY,
        "changes": CHANGES,
        "labels": LABELS,
        "user": ANY | st.fixed_dictionaries({"id": ANY, "username": ANY}),
        "object_kind": st.just("merge_request"),
    },
)
RUN = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("head_sha", "commit_sha", "sha"), SHA | ANY),
        **dict.fromkeys(("id", "status", "conclusion", "source", "html_url", "details_url"), ANY),
        "name": ANY | st.just("build"),
        "app": ANY | REPOSITORY,
        "repository": ANY | REPOSITORY,
    },
)
REPORT = st.fixed_dictionaries(
    {"repository": REPOSITORY | st.fixed_dictionaries({"homepage": ANY | st.just("https://[")})},
    optional={
        **dict.fromkeys(
            ("check_run", "check_suite", "workflow_run", "workflow_job", "run"), RUN | ANY
        ),
        "object_attributes": RUN | ANY,
        "project": REPOSITORY | ANY,
        "project_id": st.just(7) | ANY,
        "action": ANY | st.sampled_from(["completed", "rerequested"]),
        "sha": SHA | ANY,
        "context": ANY | st.sampled_from(["ci", "dokploy/shop/web"]),
        **dict.fromkeys(("id", "state", "target_url"), ANY),
    },
)
JSON = PUSH | REPORT | PULL_EVENT | NESTED
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
CONTENT_TYPES = st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""])


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
@given(headers=HEADERS, body=st.binary(max_size=20), now=st.floats(0, 2e9))
def test_hostile_headers_raise_nothing_else(host, headers, body, now):
    with contextlib.suppress(BridgeError):
        host.verify(host.open(CIMultiDict(headers), now), body)


@pytest.mark.parametrize("host", [HOSTS[key] for key in ALL], ids=ALL)
@settings(max_examples=settings().max_examples // 2)
@given(
    event=st.sampled_from(EVENTS) | st.text(), body=BODIES, form=st.booleans(), kind=CONTENT_TYPES
)
def test_hostile_bodies_raise_nothing_else(host, event, body, form, kind):
    body = b"payload=" + body if form else body
    with contextlib.suppress(BridgeError):
        host.parse(event, {"content-type": kind}, body)


@pytest.mark.parametrize(("host", "event"), OF_PULLS.items())
@given(body=PULL_EVENT)
def test_a_hostile_pull_request_is_whole_or_malformed(host, event, body):
    """What it means can be told to another process, as large bodies are."""
    with contextlib.suppress(BridgeError):
        meaning = HOSTS[host].parse(event, {}, json.dumps(body).encode())
        head = read_head(next(told(meaning))[LENGTH:])
        assert head.event == meaning


LONG = "\u202e" * 100_000


@each_row("host", ALL)
def test_a_name_without_end_is_cut_where_nobody_would_read_on(host: str) -> None:
    """Git takes any name; `deliveries` would print all of it, after two minutes."""
    push = parsed(host, push_of(host, author=LONG, pusher=LONG))

    assert isinstance(push, RefPushed)
    assert push.commit is not None
    assert push.commit.author == push.pusher == LONG[: LONGEST_NAME - 1] + "…"
    assert len(push.commit.email) == LONGEST_EMAIL
    with pytest.raises(MalformedPayload, match="at most 4096 characters"):
        parsed(host, push_of(host, repository="you/" + LONG))


def parsed(host: str, payload: object) -> object:
    event = "Push Hook" if host == "gitlab" else "push"
    return HOSTS[host].parse(event, {}, json.dumps(payload).encode())


def push_of(
    host: str, *, author: str = "Ann", pusher: str = "ann", repository: str = "you/site"
) -> dict[str, object]:
    """A push as a host describes it."""
    commit = {
        "id": "a" * 40,
        "message": "feat: x",
        "author": {"name": author, "email": author},
        **{kind: [] for kind in ("added", "modified", "removed")},
    }
    push = {"ref": "refs/heads/main", "before": "b" * 40, "after": "a" * 40, "commits": [commit]}
    if host == "github":
        ours = {"id": 1, "name": "site", "full_name": repository}
        return push | {"head_commit": commit, "repository": ours, "pusher": {"name": pusher}}
    if host == "gitea":
        ours = {"id": 1, "full_name": repository}
        return push | {"head_commit": commit, "repository": ours, "pusher": {"login": pusher}}
    ours = {"id": 1, "path_with_namespace": repository}
    return push | {
        "event_name": "push",
        "checkout_sha": "a" * 40,
        "project_id": 1,
        "project": ours,
        "user_username": pusher,
        "total_commits_count": 1,
    }
