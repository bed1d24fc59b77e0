import hmac
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from multidict import CIMultiDict

from bridge.core.errors import BadSignature, MalformedPayload, Rejected
from bridge.core.events import Ignored, PullRequestChanged, RefPushed
from bridge.githosts.base.webhook import LIMIT
from bridge.githosts.github.webhooks import MOST_COMMITS, MOST_FILES, GitHub
from tests.worlds.rows import each_row

A, B, NONE = "a" * 40, "b" * 40, "0" * 40
DELIVERY = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "4a7ab2c5"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
HOST = GitHub(["secret"])


def sign(body, secret="secret"):
    return "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()


def headers(**more):
    found = CIMultiDict({**DELIVERY, "X-Hub-Signature-256": "sha256=" + "0" * 64})
    found.update({name.replace("_", "-"): value for name, value in more.items()})
    return found


def commit(sha=B, **more):
    return {"id": sha, "message": "m", "added": [], "removed": [], "modified": ["a"], **more}


def push(**more):
    return {
        "ref": "refs/heads/main",
        "before": A,
        "after": B,
        "commits": [commit()],
        "head_commit": commit(),
        "repository": {"id": 7, "name": "r", "full_name": "o/r"},
        **more,
    }


def parse(payload):
    return HOST.parse("push", {}, json.dumps(payload).encode())


# ── Authenticity ─────────────────────────────────────────────────────────────


def test_the_vector_of_githubs_documentation_fits():
    host = GitHub(["It's a Secret to Everybody"])
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    host.verify(host.open(headers(X_Hub_Signature_256=signature), 0.0), b"Hello, World!")


def test_any_live_secret_fits_while_they_are_rotated():
    host = GitHub(["new", "secret", "söcret"])

    for secret in ("new", "secret", "söcret"):
        signature = sign(b"body", secret)
        host.verify(host.open(headers(X_Hub_Signature_256=signature), 0.0), b"body")


@pytest.mark.parametrize(
    "signature", [sign(b"body", "other"), sign(b"other"), "sha256=" + "0" * 64]
)
def test_a_wrong_signature_is_refused(signature):
    envelope = HOST.open(headers(X_Hub_Signature_256=signature), 0.0)

    with pytest.raises(BadSignature, match="does not fit the body"):
        HOST.verify(envelope, b"body")


def test_a_form_is_signed_over_its_raw_bytes():
    raw = b"payload=" + quote_plus(json.dumps(push())).encode()
    envelope = HOST.open(
        headers(X_Hub_Signature_256=sign(raw), Content_Type=FORM["content-type"]), 0.0
    )

    HOST.verify(envelope, raw)
    assert HOST.parse(envelope.event, envelope.headers, raw) == parse(push())


@each_row(
    "signature",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 63,
        "sha256=" + "0" * 65,
        "sha256=" + "g" * 64,
        "sha256=" + "٣" * 64,
        "sha256=" + "\udcff" * 64,
        "sha1=" + "0" * 64,
        "sha256=" + "0" * 64 + "\n",
        "ü" * 5000,
    ],
)
def test_a_signature_of_the_wrong_form_is_refused_before_the_body(signature):
    with pytest.raises(BadSignature):
        HOST.open(headers(X_Hub_Signature_256=signature), 0.0)


def test_the_signature_comes_first():
    with pytest.raises(BadSignature, match="missing"):
        HOST.open(CIMultiDict(), 0.0)


@pytest.mark.parametrize("name", DELIVERY)
def test_the_other_headers_must_be_there(name):
    found = headers()
    del found[name]

    with pytest.raises(Rejected, match=name) as caught:
        HOST.open(found, 0.0)
    assert not isinstance(caught.value, BadSignature)


@each_row("name", [*DELIVERY, "Content-Type"])
@each_row("value", ["", " ", "x" * 201, "ü", "\udcff", "a\x00b", "a\x7f", "a\nb"])
def test_absurd_headers_are_rejected(name, value):
    found = headers()
    found[name] = value

    with pytest.raises(Rejected, match=name) as caught:
        HOST.open(found, 0.0)
    assert not isinstance(caught.value, BadSignature)


def test_headers_are_found_without_regard_to_case():
    envelope = HOST.open(
        CIMultiDict((name.lower(), value) for name, value in headers().items()), 0.0
    )

    assert (envelope.id, envelope.event, dict(envelope.headers)) == ("4a7ab2c5", "push", {})


@pytest.mark.parametrize("secrets", [[], [""], ["  "], ["good", ""], "text"])
def test_empty_secrets_are_refused_at_the_start(secrets):
    with pytest.raises(ValueError, match="secret"):
        GitHub(secrets)


# ── Meaning ──────────────────────────────────────────────────────────────────


def test_files_of_all_commits_are_one_sorted_list():
    commits = [commit(A, added=["c", "a"]), commit(B, removed=["b"], modified=["a"])]

    event = parse(push(commits=commits))

    assert (event.paths, event.paths_note) == (("a", "b", "c"), "")


@each_row(
    ("more", "note"),
    [
        ({"after": NONE, "deleted": True, "commits": []}, "deleted"),
        ({"before": NONE, "created": True}, "new branch"),
        ({"before": NONE}, "new branch"),
        ({"created": True, "commits": []}, "new branch"),
        ({"forced": True}, "forced"),
        ({"forced": True, "commits": []}, "forced"),
        ({"ref": "refs/tags/v1"}, "tag"),
        ({"commits": []}, "no commits"),
        ({"commits": None}, "no commits"),
        ({"commits": [commit()] * MOST_COMMITS}, "2048 commits"),
        ({"commits": [commit(modified=[str(n) for n in range(MOST_FILES)])]}, "3000 files"),
        ({"commits": [commit(), commit(added=None)]}, "no files for commit bbbbbbb"),
        ({"commits": [{"id": A, "modified": ["a"]}]}, "no files for commit aaaaaaa"),
        # GitHub's documentation: for extremely large commits the lists may be empty
        ({"commits": [commit(), commit(modified=[])]}, "may be too large"),
    ],
)
def test_what_github_did_not_list_is_unknown(more, note):
    event = parse(push(**more))

    assert event.paths is None
    assert note in event.paths_note


def test_nothing_pushed_is_known_to_change_nothing():
    assert parse(push(before=B, commits=[])).paths == ()


def test_just_under_the_caps_is_complete():
    commits = [commit()] * (MOST_COMMITS - 1)
    commits[0] = commit(modified=[f"{n:04}" for n in range(MOST_FILES - 1)])

    assert len(parse(push(commits=commits)).paths) == MOST_FILES


def test_a_deleted_ref_is_told_and_has_no_commit():
    event = parse(push(after=NONE, head_commit=None, deleted=True, commits=[]))

    assert (event.deleted, event.created, event.commit) == (True, False, None)


def test_a_ref_is_read_whole():
    assert parse(push(ref="refs/heads/a/b/c")).ref.name == "a/b/c"
    assert parse(push(ref="refs/heads/refs/tags/v1")).ref.name == "refs/tags/v1"


def test_other_refs_are_ignored():
    assert parse(push(ref="refs/notes/commits")) == Ignored(
        "refs/notes/commits is neither a branch nor a tag"
    )


def test_without_a_head_commit_the_branch_still_has_its_commit():
    assert parse(push(head_commit=None)).commit.message == "m"
    assert parse(push(head_commit=None, commits=[])).commit.sha == B
    assert parse(push(head_commit=None, commits=[], ref="refs/tags/v1")).commit is None


def test_repositories_of_sha256_are_understood():
    event = parse(push(before="0" * 64, after="c" * 64))

    assert event.created
    assert not event.deleted


def test_addresses_are_normalised_and_links_are_safe():
    repository = {
        **push()["repository"],
        "clone_url": "https://h/O/R.git",
        "ssh_url": "git@h:O/R.git",
        "git_url": "git://h2/O/R.git",
        "html_url": "javascript:alert(1)",
        "url": "https://h/O/R",
    }
    head = commit(url="https://h/ <evil>")

    event = parse(push(repository=repository, head_commit=head))

    assert event.repository.urls >= {"h/o/r", "h2/o/r"}
    assert event.repository.web_url == "https://h/O/R"
    assert event.commit.url is None


def test_nul_never_reaches_a_database():
    raw = json.dumps(push(head_commit=commit(message="a\0b"))).encode()
    literal = json.dumps(push(head_commit=commit(message=r"a\u0000b"))).encode()

    assert message_of(raw) == "a\ufffdb"
    assert message_of(literal) == r"a\u0000b"


def message_of(raw: bytes) -> str:
    event = HOST.parse("push", {}, raw)
    assert isinstance(event, RefPushed)
    assert event.commit is not None
    return event.commit.message


@pytest.mark.parametrize("event", ["ping", "create", "delete", "release", "x" * 5000])
def test_other_events_are_ignored_whatever_their_body(event):
    ignored = HOST.parse(event, {}, b"\xff")

    assert isinstance(ignored, Ignored)
    assert event[:100] in ignored.reason
    assert len(ignored.reason) < 200


DEEP = b"[" * 100_000
MALFORMED = {
    "empty": b"",
    "no JSON": b"<html>",
    "cut off": json.dumps(push()).encode()[:-1],
    "not UTF-8": b'{"ref": "\xff"}',
    "a list": b"[]",
    "null": b"null",
    "too deep": DEEP,
    "too deep where we do not look": b'{"x":' + DEEP,
    "NaN": json.dumps(push(size=float("nan"))).encode(),
    "Infinity": json.dumps(push(size=float("inf"))).encode(),
    "long number": b'{"x":' + b"1" * 500_000 + b"}",
    "half a surrogate": rb'{"ref": "\ud800"}',
}


@each_row("what", MALFORMED)
def test_what_is_not_json_is_malformed(what):
    with pytest.raises(MalformedPayload, match="github push") as caught:
        HOST.parse("push", {}, MALFORMED[what])
    assert len(str(caught.value)) < 400


@each_row(
    ("more", "field"),
    [
        ({"ref": None}, "ref"),
        ({"ref": "main"}, "ref"),
        ({"ref": "refs/heads/"}, "refs/heads/"),
        ({"ref": "refs/heads/a b"}, "ref"),
        ({"ref": "refs/heads/a\n"}, "ref"),
        ({"after": "b" * 39}, "after"),
        ({"after": "B" * 40}, "after"),
        ({"before": B + "\n"}, "before"),
        ({"created": "yes"}, "created"),
        ({"repository": None}, "repository"),
        ({"repository": {"id": 7, "name": "r"}}, "repository.full_name"),
        ({"repository": {"id": True, "name": "r", "full_name": "o/r"}}, "repository.id"),
        ({"repository": {"id": 10**4000, "name": "r", "full_name": "o/r"}}, "repository.id"),
        ({"commits": {}}, "commits"),
        ({"commits": [commit(added=["a", 1])]}, "commits[0].added[1]"),
        ({"head_commit": {"id": "x"}}, "head_commit.id"),
    ],
)
def test_a_malformed_push_names_the_first_bad_fields(more, field):
    with pytest.raises(MalformedPayload) as caught:
        parse(push(**more))
    assert field in str(caught.value)


def test_a_malformed_push_never_shows_its_body():
    bad = push(ref=["SECRET"], after="SECRET", created="SECRET", commits=["SECRET"] * 1000)

    with pytest.raises(MalformedPayload) as caught:
        parse(bad)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "and 1 more" in str(caught.value)


def test_more_than_the_limit_is_not_read():
    with pytest.raises(MalformedPayload, match="more than"):
        HOST.parse("push", {}, bytes(LIMIT + 1))


@pytest.mark.parametrize("form", [b"", b"payload", b"payload=", b"other={}", b"x=1&payload={}"])
def test_a_form_must_hold_the_payload(form):
    with pytest.raises(MalformedPayload):
        HOST.parse("push", FORM, form)


@each_row("padding", range(65530, 65540))
def test_a_large_form_is_decoded_whole(padding):
    payload = push(head_commit=commit(message="x" * padding + 'ü"+% &=' * 10_000))
    raw = b"payload=" + quote_plus(json.dumps(payload, ensure_ascii=False)).encode() + b"&more=1"

    assert HOST.parse("push", FORM, raw) == parse(payload)


# ── Pull requests ────────────────────────────────────────────────────────────

PULL: dict[str, Any] = {
    "action": "opened",
    "pull_request": {"number": 7, "head": {"ref": "topic", "sha": B, "repo": {"id": 7}}},
    "repository": {"id": 7, "name": "r", "full_name": "o/r"},
}


@pytest.mark.parametrize("more", [{}, {"number": 7}, {"number": None}])
def test_a_pull_request_tells_its_number_in_either_place(more):
    opened = HOST.parse("pull_request", {}, json.dumps(PULL | more).encode())

    assert isinstance(opened, PullRequestChanged)
    assert (opened.pull.number, opened.pull.head) == (7, "topic")


def test_a_pull_request_without_any_number_says_what_is_missing():
    without = PULL | {"pull_request": {"head": PULL["pull_request"]["head"]}}

    with pytest.raises(MalformedPayload, match=r"number is missing, pull_request\.number as well"):
        HOST.parse("pull_request", {}, json.dumps(without).encode())
