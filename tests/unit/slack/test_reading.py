"""The bytes that Slack sends, read."""

import contextlib
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.chats.slack.door import payload_of
from bridge.core.errors import MalformedPayload

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"\xff"),
        (FORM, b"payload={"),
        (FORM, b"payload=[]"),
        (FORM, b"&".join(b"a%d=1" % n for n in range(101))),
        ("application/json", b"7"),
        ("application/json", b"[" * 100_000),
        ("application/json", json.dumps({"actions": []}).encode()),
        ("application/json", json.dumps({"actions": [7]}).encode()),
        ("application/json", json.dumps({"view": "V1"}).encode()),
    ],
)
def test_what_slack_would_not_send_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(MalformedPayload):
        payload_of(kind, body)


@settings(max_examples=50)
@given(st.sampled_from([FORM, "application/json", ""]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(kind: str, body: bytes) -> None:
    with contextlib.suppress(MalformedPayload):
        assert isinstance(payload_of(kind, body), dict)
