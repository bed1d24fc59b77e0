"""GitLab's webhooks: tokens, signatures, and what a push means."""

import base64
import hmac
import json

import pytest
from multidict import CIMultiDict

from bridge.core.errors import BadSignature
from bridge.core.events import Ignored, RefPushed
from bridge.core.hooks import SIGNED_WITH
from bridge.githosts.gitlab.webhooks import GitLab
from tests.worlds.rows import each_row

A, B, NONE = "a" * 40, "b" * 40, "0" * 40
HOST = GitLab(["token", "töken"])
# the example of the Standard Webhooks specification
SIGNING_TOKEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1614265330
BODY = b'{"test": 2432232314}'
SIGNED = {
    "X-Gitlab-Event": "Push Hook",
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(NOW),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SIGNING = GitLab(["token"], [SIGNING_TOKEN])


def headers(**more):
    found = CIMultiDict({"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "token"})
    found.update({name.replace("_", "-"): value for name, value in more.items()})
    return found


def signed(**more):
    found = CIMultiDict(SIGNED)
    found.update({name.replace("_", "-"): value for name, value in more.items()})
    return found


def signature(key):
    content = f"{SIGNED['webhook-id']}.{NOW}.".encode() + BODY
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def commit(sha=B, **more):
    return {"id": sha, "message": "m", "added": [], "removed": [], "modified": ["a"], **more}


def push(**more):
    return {
        "object_kind": "push",
        "event_name": "push",
        "ref": "refs/heads/main",
        "before": A,
        "after": B,
        "checkout_sha": B,
        "user_username": "ada",
        "project_id": 7,
        "project": {"id": 7, "path_with_namespace": "g/s/p"},
        "commits": [commit()],
        "total_commits_count": 1,
        **more,
    }


def parse(payload):
    return HOST.parse("Push Hook", {}, json.dumps(payload).encode())


# ── Tokens ───────────────────────────────────────────────────────────────────


def test_any_live_token_fits_and_alone_decides_where_there_is_no_signing_token():
    for token in ("token", "töken"):
        HOST.verify(HOST.open(headers(X_Gitlab_Token=token), 0.0), b"body")
    HOST.verify(HOST.open(headers(webhook_signature="v1,nonsense"), 0.0), b"body")
    with pytest.raises(BadSignature, match="X-Gitlab-Token"):
        HOST.open(signed(), NOW)


@each_row("token", ["", "Token", "token ", "tok", "ü", "t\udcc3\udcb6ken", "\ud800"])
def test_a_wrong_token_is_refused_before_the_body(token):
    with pytest.raises(BadSignature):
        HOST.open(headers(X_Gitlab_Token=token), 0.0)


def test_a_delivery_names_its_webhook_unless_it_is_sent_again_as_if_it_were_new():
    uuid = {"X_Gitlab_Webhook_UUID": "webhook"}

    def hook(kept):
        found = HOST.parse("Push Hook", kept, json.dumps(push()).encode())
        assert isinstance(found, RefPushed)
        return found.hook

    since_17_4 = HOST.open(headers(Idempotency_Key="key", **uuid), 0.0).headers
    assert hook(since_17_4) == "webhook"
    assert hook({**since_17_4, SIGNED_WITH: "ours"}) == "ours"
    before = HOST.open(headers(**uuid), 0.0).headers
    assert hook({**before, SIGNED_WITH: "ours"}) == ""


@each_row(
    ("tokens", "signing"),
    [
        ([], []),
        ([""], []),
        (["good", " "], []),
        ("token", []),
        (["good"], [""]),
        ([], "whsec_AAAA"),
    ],
)
def test_empty_tokens_are_refused_at_the_start(tokens, signing):
    with pytest.raises(ValueError, match="token"):
        GitLab(tokens, signing)


@each_row("token", ["MfKQ9r8GKYqrTwjU", "whsec_", "whsec_?", "whsec_ü", "whsec_A"])
def test_a_malformed_signing_token_is_refused_without_being_shown(token):
    with pytest.raises(ValueError, match="must be whsec_ and base64") as caught:
        GitLab([], [token])
    assert "MfKQ9r8" not in str(caught.value)


# ── Signatures ───────────────────────────────────────────────────────────────


def test_one_of_several_signatures_is_enough_of_any_live_token():
    several = f"v1,{'A' * 43}= v1a,other {SIGNED['webhook-signature']} v2,x"
    SIGNING.verify(SIGNING.open(signed(webhook_signature=several), NOW), BODY)

    keys = [bytes(range(32)), bytes(24)]
    padded, bare = (base64.b64encode(key).decode() for key in keys)
    host = GitLab([], [f"whsec_{padded}", f"whsec_{bare.rstrip('=')}"])

    for key in keys:
        host.verify(host.open(signed(webhook_signature=signature(key)), NOW), BODY)


def test_a_signature_must_fit_the_body_the_id_and_the_time():
    for found, body in (
        (signed(), BODY + b" "),
        (signed(webhook_id="other"), BODY),
        (signed(webhook_timestamp=str(NOW + 1)), BODY),
        (signed(webhook_signature=signature(bytes(24))), BODY),
    ):
        envelope = SIGNING.open(found, NOW)
        with pytest.raises(BadSignature, match="does not fit the body"):
            SIGNING.verify(envelope, body)


@each_row("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_right_token_never_stands_in_for_a_signature(missing):
    found = signed(X_Gitlab_Token="token")
    del found[missing]

    with pytest.raises(BadSignature, match="must all be present"):
        SIGNING.open(found, NOW)


@each_row("seconds", [-301, 301, -NOW, 10**11])
def test_an_old_or_future_signature_is_refused(seconds):
    with pytest.raises(BadSignature, match="clock"):
        SIGNING.open(signed(), NOW + seconds)


@each_row(
    ("name", "value"),
    [
        ("webhook-timestamp", f"{NOW}.0"),
        ("webhook-timestamp", f"-{NOW}"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-timestamp", "٣"),
        ("webhook-signature", "v1,ü"),
        ("webhook-signature", "v2" + SIGNED["webhook-signature"][2:]),
        ("webhook-signature", "\udcff" * 5000),
        ("webhook-id", "ü"),
        ("webhook-id", "x" * 201),
    ],
)
def test_a_proof_of_the_wrong_form_is_refused_before_the_body(name, value):
    found = signed()
    found[name] = value

    with pytest.raises(BadSignature, match="wrong form"):
        SIGNING.open(found, NOW)


# ── Meaning ──────────────────────────────────────────────────────────────────


@each_row(
    ("more", "note"),
    [
        ({"after": NONE, "checkout_sha": None, "commits": []}, "deleted"),
        ({"ref": "refs/tags/v1"}, "tag"),
        ({"before": NONE}, "new branch"),
        ({"before": NONE, "commits": [], "total_commits_count": 0}, "new branch"),
        ({"total_commits_count": 2}, "1 of 2"),
        ({"commits": [commit()] * 20, "total_commits_count": None}, "20 commits"),
        ({"commits": [], "total_commits_count": 0}, "no commits"),
        ({"commits": None, "total_commits_count": None}, "no commits"),
        ({"commits": [commit(removed=None)]}, "no files"),
    ],
)
def test_what_gitlab_did_not_list_is_unknown(more, note):
    event = parse(push(**more))

    assert event.paths is None
    assert note in event.paths_note


def test_an_annotated_tag_points_to_its_commit():
    tag = push(ref="refs/tags/v1", before=NONE, after="d" * 40, commits=[])

    assert parse(tag).commit.sha == B
    assert parse({**tag, "checkout_sha": None}).commit is None
    assert parse(push(checkout_sha=None)).commit.sha == B


@each_row(
    ("sent", "options"),
    [
        ({"ci": {"skip": True}}, ("ci.skip",)),
        ({"ci": {"variable": {"A=1": 1, "B=2": 2}}}, ("ci.variable=A=1", "ci.variable=B=2")),
        ({"merge_request": {"title": "x"}}, ("merge_request.title=x",)),
        ({"ci.skip": True}, ("ci.skip",)),
        (["ci.skip", "deploy.skip", 7], ("ci.skip", "deploy.skip")),
        (["x"] * 5000, ("x",) * 100),
        ({}, ()),
        ([], ()),
        (None, ()),
        ("ci.skip", ()),
        ({"a": {"b": {"c": {"d": 1}}}}, ("a.b=c",)),
    ],
)
def test_push_options_are_read_as_they_were_typed(sent, options):
    assert parse(push(push_options=sent)).options == options


def test_other_refs_are_ignored():
    assert isinstance(parse(push(ref="refs/merge-requests/1/head")), Ignored)
