"""GitHub's webhooks: signatures, and what a push means."""

import hmac
import json
from urllib.parse import quote_plus

import pytest
from multidict import CIMultiDict

from bridge.core.errors import BadSignature, MalformedPayload, Rejected
from bridge.core.events import Ignored
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


@each_row(
    "signature",
    [
        "",
        "sha256=" + "0" * 63,
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


@each_row("name", [*DELIVERY, "Content-Type"])
@each_row("value", ["", " ", "x" * 201, "ü", "\udcff", "a\x00b", "a\x7f", "a\nb"])
def test_absurd_headers_are_rejected(name, value):
    found = headers()
    found[name] = value

    with pytest.raises(Rejected, match=name) as caught:
        HOST.open(found, 0.0)
    assert not isinstance(caught.value, BadSignature)


@each_row("secrets", [[], [""], ["  "], ["good", ""], "text"])
def test_empty_secrets_are_refused_at_the_start(secrets):
    with pytest.raises(ValueError, match="secret"):
        GitHub(secrets)


# ── Meaning ──────────────────────────────────────────────────────────────────


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


def test_other_refs_are_ignored():
    assert parse(push(ref="refs/notes/commits")) == Ignored(
        "refs/notes/commits is neither a branch nor a tag"
    )


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


@each_row("form", [b"", b"payload", b"payload=", b"other={}", b"x=1&payload={}"])
def test_a_form_must_hold_the_payload(form):
    with pytest.raises(MalformedPayload):
        HOST.parse("push", FORM, form)


@each_row("padding", range(65534, 65539))
def test_a_large_form_is_decoded_whole(padding):
    payload = push(head_commit=commit(message="x" * padding + 'ü"+% &=' * 10_000))
    raw = b"payload=" + quote_plus(json.dumps(payload, ensure_ascii=False)).encode() + b"&more=1"

    assert HOST.parse("push", FORM, raw) == parse(payload)
