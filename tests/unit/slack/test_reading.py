"""The bytes that Slack sends, read."""

import contextlib
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.chats.slack.door import payload_of
from bridge.core.errors import MalformedPayload
from tests.worlds.rows import each_row

FORM = "application/x-www-form-urlencoded"


@each_row(
    ("kind", "body", "payload"),
    [
        (FORM, urlencode({"command": "/d", "text": "a b&c"}), {"command": "/d", "text": "a b&c"}),
        (FORM, urlencode({"payload": '{"type": "shortcut"}'}), {"type": "shortcut"}),
        (FORM, "text=", {"text": ""}),
        (f"{FORM}; charset=utf-8", "a=%C3%A9", {"a": "é"}),
        ("application/json", '{"type": "event_callback"}', {"type": "event_callback"}),
        ("Application/JSON;charset=utf-8", "{}", {}),
    ],
)
def test_each_kind_is_read(kind: str, body: str, payload: dict[str, object]) -> None:
    assert payload_of(kind, body.encode()) == payload


JSON = "application/json"


@each_row(
    ("kind", "body", "words"),
    [
        (FORM, b"\xff", "the body is not UTF-8"),
        (FORM, b"payload={", "the body is not JSON"),
        (FORM, b"payload=[]", "the body must be an object, and is an empty list"),
        (FORM, b"payload=null", "the body must be an object, and is null"),
        (
            FORM,
            b"&".join(b"a%d=1" % n for n in range(101)),
            "the body is not a form as Slack sends it",
        ),
        (JSON, b"7", "the body must be an object, and is a number"),
        (JSON, b"[" * 100_000, "the body is not JSON"),
        (JSON, b'{"actions": []}', "actions must be a list of objects, and is an empty list"),
        (JSON, b'{"actions": null}', "actions must be a list of objects, and is null"),
        (JSON, b'{"actions": [null]}', "actions must hold objects, and holds null"),
        (JSON, b'{"view": "V1"}', "view must be an object, and is a text"),
        (JSON, b'{"message": null}', "message must be an object, and is null"),
    ],
)
def test_what_slack_would_not_send_is_refused(kind: str, body: bytes, words: str) -> None:
    with pytest.raises(MalformedPayload) as refused:
        payload_of(kind, body)

    assert str(refused.value) == words


@settings(max_examples=50)
@given(st.sampled_from([FORM, "application/json", ""]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(kind: str, body: bytes) -> None:
    with contextlib.suppress(MalformedPayload):
        assert isinstance(payload_of(kind, body), dict)
