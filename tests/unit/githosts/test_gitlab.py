import base64
import hmac
import json
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from bridge.core.errors import BadSignature, MalformedPayload, Rejected
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


def signature(key, timestamp=NOW, body=BODY):
    content = f"{SIGNED['webhook-id']}.{timestamp}.".encode() + body
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


def parse(payload, event="Push Hook"):
    return HOST.parse(event, {}, json.dumps(payload).encode())


# ── Tokens ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["token", "töken"])
def test_any_live_token_fits(token):
    HOST.verify(HOST.open(headers(X_Gitlab_Token=token), 0.0), b"body")


@each_row("token", ["", "Token", "token ", "tok", "ü", "t\udcc3\udcb6ken", "\ud800"])
def test_a_wrong_token_is_refused_before_the_body(token):
    with pytest.raises(BadSignature):
        HOST.open(headers(X_Gitlab_Token=token), 0.0)


def test_a_missing_token_is_refused_before_other_headers():
    with pytest.raises(BadSignature, match="missing"):
        HOST.open(CIMultiDict(), 0.0)


def test_without_a_signing_token_the_token_decides():
    HOST.verify(HOST.open(headers(webhook_signature="v1,nonsense"), 0.0), b"body")
    with pytest.raises(BadSignature, match="X-Gitlab-Token"):
        HOST.open(signed(), NOW)


def test_the_event_must_be_there():
    found = headers()
    del found["X-Gitlab-Event"]

    with pytest.raises(Rejected, match="X-Gitlab-Event") as caught:
        HOST.open(found, 0.0)
    assert not isinstance(caught.value, BadSignature)


@each_row("name", ["X-Gitlab-Event", "X-Gitlab-Event-UUID", "Idempotency-Key", "webhook-id"])
@each_row("value", ["", "x" * 201, "ü", "\udcff", "a\x00b"])
def test_absurd_headers_are_rejected(name, value):
    found = headers()
    found[name] = value

    with pytest.raises(Rejected, match=name) as caught:
        HOST.open(found, 0.0)
    assert not isinstance(caught.value, BadSignature)


def test_the_delivery_is_known_by_its_idempotency_key_or_by_its_body():
    key = headers(Idempotency_Key="key", X_Gitlab_Event_UUID="uuid")

    assert HOST.open(key, 0.0).id == "key"
    assert dict(HOST.open(key, 0.0).headers) == {"x-gitlab-event-uuid": "uuid"}
    assert HOST.open(headers(), 0.0).id is None
    assert SIGNING.open(signed(), NOW).id == SIGNED["webhook-id"]


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


@pytest.mark.parametrize("token", ["MfKQ9r8GKYqrTwjU", "whsec_", "whsec_?", "whsec_ü", "whsec_A"])
def test_a_malformed_signing_token_is_refused_without_being_shown(token):
    with pytest.raises(ValueError, match="must be whsec_ and base64") as caught:
        GitLab([], [token])
    assert "MfKQ9r8" not in str(caught.value)


# ── Signatures ───────────────────────────────────────────────────────────────


def test_the_vector_of_standard_webhooks_fits():
    SIGNING.verify(SIGNING.open(signed(), NOW), BODY)


def test_one_of_several_signatures_is_enough():
    several = f"v1,{'A' * 43}= v1a,other {SIGNED['webhook-signature']} v2,x"

    SIGNING.verify(SIGNING.open(signed(webhook_signature=several), NOW), BODY)


def test_any_live_signing_token_fits_while_they_are_rotated():
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


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_right_token_never_stands_in_for_a_signature(missing):
    found = signed(X_Gitlab_Token="token")
    del found[missing]

    with pytest.raises(BadSignature, match="must all be present"):
        SIGNING.open(found, NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -NOW, 10**11])
def test_an_old_or_future_signature_is_refused(seconds):
    with pytest.raises(BadSignature, match="clock"):
        SIGNING.open(signed(), NOW + seconds)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signature_within_the_tolerance_is_accepted(seconds):
    SIGNING.verify(SIGNING.open(signed(), NOW + seconds), BODY)


@each_row(
    ("name", "value"),
    [
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", f"{NOW}.0"),
        ("webhook-timestamp", f"-{NOW}"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-timestamp", "٣"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,ü"),
        ("webhook-signature", "v2" + SIGNED["webhook-signature"][2:]),
        ("webhook-signature", "\udcff" * 5000),
        ("webhook-id", "a b"),
        ("webhook-id", "ü"),
        ("webhook-id", "x" * 201),
    ],
)
def test_a_proof_of_the_wrong_form_is_refused_before_the_body(name, value):
    found = signed()
    found[name] = value

    with pytest.raises(BadSignature, match="wrong form"):
        SIGNING.open(found, NOW)


def test_what_the_library_signs_is_authentic_and_the_other_way_round():
    reason = "compares with the reference library where it is installed"
    library = pytest.importorskip("standardwebhooks", reason=reason)
    now = int(datetime.now(UTC).timestamp())  # the library reads the real clock
    webhook = library.Webhook(SIGNING_TOKEN)
    theirs = webhook.sign(SIGNED["webhook-id"], datetime.fromtimestamp(now, UTC), BODY.decode())
    found = signed(webhook_timestamp=str(now), webhook_signature=theirs)

    SIGNING.verify(SIGNING.open(found, now), BODY)

    ours = signature(base64.b64decode(SIGNING_TOKEN.removeprefix("whsec_")), now)
    webhook.verify(BODY, dict(signed(webhook_timestamp=str(now), webhook_signature=ours)))


# ── Meaning ──────────────────────────────────────────────────────────────────


def test_a_push_tells_who_what_and_where():
    event = parse(push())

    assert (event.pusher, event.repository.id, event.repository.name) == ("ada", "7", "g/s/p")
    assert (event.paths, event.paths_note) == (("a",), "")
    assert parse(push(user_username=None, user_name="Ada")).pusher == "Ada"


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


def test_a_complete_list_is_known():
    full = push(commits=[commit(modified=[str(n)]) for n in range(20)], total_commits_count=20)

    assert len(parse(full).paths) == 20
    assert parse(push(total_commits_count=None)).paths == ("a",)
    assert parse(push(commits=[commit(modified=[])])).paths == ()


def test_a_system_hook_means_the_same_but_lists_no_files():
    event = parse(push(), "System Hook")

    assert event.paths is None
    assert "system hook" in event.paths_note
    assert event.ref == parse(push()).ref
    only_kind = {**push(), "event_name": None}
    assert parse(only_kind, "System Hook") == event


@pytest.mark.parametrize("kind", ["project_create", "x" * 5000])
def test_other_system_hooks_are_ignored_by_name(kind):
    event = parse({"event_name": kind}, "System Hook")

    assert isinstance(event, Ignored)
    assert kind[:100] in event.reason
    assert len(event.reason) < 250


def test_the_message_is_that_of_the_checked_out_commit():
    commits = [commit(B, message="head"), commit(A, message="older")]  # GitLab's test button

    assert parse(push(commits=commits)).commit.message == "head"
    other = parse(push(checkout_sha="c" * 40, commits=[commit(url="https://h/b")])).commit
    assert (other.sha, other.message, other.url) == ("c" * 40, "m", None)


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
        ({}, ()),
        ([], ()),
        (None, ()),
        ("ci.skip", ()),
        ({"a": {"b": {"c": {"d": 1}}}}, ("a.b=c",)),
    ],
)
def test_push_options_are_read_as_they_were_typed(sent, options):
    assert parse(push(push_options=sent)).options == options


def test_push_options_are_bounded():
    assert len(parse(push(push_options=["x"] * 5000)).options) == 100


@pytest.mark.parametrize("event", ["Note Hook", "Member Hook", "x" * 5000])
def test_other_events_are_ignored_whatever_their_body(event):
    ignored = HOST.parse(event, {}, b"\xff")

    assert isinstance(ignored, Ignored)
    assert event[:100] in ignored.reason


def test_other_refs_are_ignored():
    assert isinstance(parse(push(ref="refs/merge-requests/1/head")), Ignored)


@each_row("event", ["Push Hook", "Tag Push Hook", "System Hook"])
@each_row("body", [b"", b"[]", b'"x"', b"[" * 100_000, b'{"event_name": 7}', b"\xff"])
def test_what_a_template_made_of_it_is_malformed(event, body):
    with pytest.raises(MalformedPayload, match="gitlab"):
        HOST.parse(event, {}, body)


def test_a_custom_template_names_what_it_left_out():
    with pytest.raises(MalformedPayload, match="project_id"):
        HOST.parse("Push Hook", {}, b'{"ref": "refs/heads/main", "before": 1, "after": 2}')
    with pytest.raises(MalformedPayload, match=r"project\.path_with_namespace"):
        parse(push(project={}))
