"""The HTTP door, over real HTTP: who gets in, who does not, and what each is told."""

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.events import FOUND_EVENT
from bridge.githosts.github.webhooks import GitHub
from bridge.ports.inbox import DeliveryState
from tests.worlds.bridge import SECRET, TOKEN
from tests.worlds.doors import BODY, MIB, Door, Opened, head_of, read, signed, with_token
from tests.worlds.embedded import until

pytestmark = pytest.mark.journey


# ── other hosts ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["quick", "aiohttp"])
@pytest.mark.parametrize("name", ["X-Gitea-Event", "X-Forgejo-Event", "x-gogs-new"])
async def test_what_only_looks_like_github_is_refused(
    door: Door, way: dict[str, Any], name: str
) -> None:
    """Gitea and Forgejo send GitHub's headers too, and list no more than five commits."""
    answer = await door.post("/hooks/github", signed(**way) | {name: "push"})

    assert answer.status == 400
    assert answer.error == (
        f"{name.lower()} is not a header of GitHub's, whose webhooks alone are taken here;"
        " Gitea's webhooks go to /hooks/gitea"
    )
    assert await door.kept() == []


@pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["quick", "aiohttp"])
async def test_a_request_without_a_host_is_refused(door: Door, way: dict[str, Any]) -> None:
    """As HTTP/1.1 has it (RFC 9112, 3.2)."""
    headers = signed(**way) | {"Content-Length": str(len(BODY))}
    answer = await door.knock(
        head_of("POST /hooks/github", headers).replace(b"Host: 127.0.0.1\r\n", b""), BODY
    )

    assert answer.status == 400
    assert await door.kept() == []


async def test_no_answer_tells_which_releases_run_here(door: Door) -> None:
    for asked in (
        head_of("GET /healthz", {"Connection": "close"}),
        head_of("GET /nothing", {"Connection": "close"}),
        head_of("GET /healthz", {"Content-Length": "x"}),
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 20_000 + b"\r\n\r\n",
    ):
        server = (await door.knock(asked)).headers.get("server", "").lower()

        assert "aiohttp" not in server
        assert "python" not in server


# ── in ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("host", "headers"), [("github", signed()), ("gitlab", with_token())])
async def test_what_is_authentic_is_kept_and_the_second_time_known(
    door: Door, host: str, headers: dict[str, Any]
) -> None:
    first = await door.post(f"/hooks/{host}", headers | {"Connection": "close"})
    second = await door.post(f"/hooks/{host}", headers | {"Connection": "close"})

    assert (first.status, json.loads(first.body)) == (
        202, {"delivery": "delivery-1", "status": "accepted"},
    )  # fmt: skip
    assert (second.status, json.loads(second.body)) == (
        200, {"delivery": "delivery-1", "status": "duplicate"},
    )  # fmt: skip
    found = await door.inbox.find(host, "delivery-1")
    assert found is not None
    assert (found.body, found.state) == (BODY, DeliveryState.KEPT)


@pytest.mark.parametrize(("way", "size"), [({}, 300_000), ({"TE": "trailers"}, 10)])
async def test_another_body_under_a_known_id_is_taken(
    door: Door, way: dict[str, Any], size: int
) -> None:
    """Whoever may send something can't hide a push by sending its id first."""
    guessed, real = b"x" * size, b"y" * size
    answers = [
        await door.post("/hooks/github", signed(body, **way), body)
        for body in (guessed, real, real, guessed)
    ]

    told = [json.loads(answer.body) for answer in answers]
    assert [answer.status for answer in answers] == [202, 202, 200, 200]
    assert told[1]["delivery"].startswith("delivery-1~")
    assert told[2] == {"delivery": told[1]["delivery"], "status": "duplicate"}
    assert told[3] == {"delivery": "delivery-1", "status": "duplicate"}
    found = await door.inbox.find("github", told[1]["delivery"])
    assert found is not None
    assert found.body == real


async def test_gitlab_without_any_id_is_known_by_its_body(door: Door) -> None:
    headers = with_token(Idempotency_Key=None)
    first = await door.post("/hooks/gitlab", headers)
    second = await door.post("/hooks/gitlab", headers)

    assert (first.status, second.status) == (202, 200)


# ── not in ───────────────────────────────────────────────────────────────────


SIGNATURES = (
    *(None, "", "garbage", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40),
    *("sha256=" + "g" * 64, b"sha256=\xe9\xff", "sha256=" + "ü" * 64, "sha256=" + "0" * 65),
    signed(b"another body")["X-Hub-Signature-256"],
)


async def test_a_signature_that_does_not_fit_is_401(door: Door) -> None:
    for signature in SIGNATURES:
        answer = await door.post("/hooks/github", signed() | {"X-Hub-Signature-256": signature})

        assert answer.status == 401, signature
        assert "X-Hub-Signature-256" in answer.error
    assert await door.kept() == []


async def test_a_token_that_is_none_of_ours_is_401(door: Door) -> None:
    for token in (None, "", "wrong", TOKEN + "x", b"\xe9\xff", "ü"):
        answer = await door.post("/hooks/gitlab", with_token(X_Gitlab_Token=token))

        assert answer.status == 401, token
        assert "X-Gitlab-Token" in answer.error
    assert await door.kept() == []


async def test_a_header_that_must_be_there_is_400_when_it_is_not(door: Door) -> None:
    needed = (
        *[("github", signed(), "X-GitHub-Event"), ("github", signed(), "X-GitHub-Delivery")],
        ("gitlab", with_token(), "X-Gitlab-Event"),
    )
    for host, headers, header in needed:
        for value in (None, "", b"\xff", "x" * 201):
            answer = await door.post(f"/hooks/{host}", headers | {header: value})

            assert answer.status == 400, (header, value)
            assert header in answer.error
    assert await door.kept() == []


@pytest.mark.parametrize("host", ["github", "gitlab"])
async def test_nobody_outside_speaks_by_the_name_of_what_was_found(door: Door, host: str) -> None:
    headers = signed() if host == "github" else with_token()
    header = "X-GitHub-Event" if host == "github" else "X-Gitlab-Event"
    answer = await door.post(f"/hooks/{host}", headers | {header: FOUND_EVENT})

    assert answer.status == 400
    assert FOUND_EVENT in answer.error
    assert await door.kept() == []


@pytest.mark.parametrize("expect", [None, "100-continue"])
async def test_a_body_over_the_limit_is_413_before_any_of_it_is_read(
    door: Door, expect: str | None
) -> None:
    headers = signed() | {"Content-Length": str(26 * MIB + 1), "Expect": expect}
    answer = await door.knock(head_of("POST /hooks/github", headers))

    assert answer.status == 413
    assert str(26 * MIB) in answer.error


async def test_a_host_without_a_secret_is_not_served(opened: Opened) -> None:
    door = await opened({"github": GitHub([SECRET])})
    answer = await door.post("/hooks/gitlab", with_token())

    assert answer.status == 404
    assert answer.error == "gitlab is not served here: no secret is set for it"


@pytest.mark.parametrize("begun", [b"", b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub"])
async def test_headers_that_do_not_come_end_the_connection(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("bridge.listening.listener.KEEPALIVE_SECONDS", 0.1)
    door = await opened()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(begun)

    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


# ── full ─────────────────────────────────────────────────────────────────────


async def test_too_much_at_once_is_503_and_comes_again_later(opened: Opened) -> None:
    door = await opened(max_in_flight=4 * MIB, patience=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    first = b"1" * (2 * MIB)
    headers = signed(first, id_="first") | {"Content-Length": str(len(first))}
    writer.write(head_of("POST /hooks/github", headers))
    await writer.drain()
    large = b"2" * (2 * MIB)

    busy = await until(
        lambda: door.knock(
            head_of("POST /hooks/github", signed(large) | {"Content-Length": str(len(large))})
        ),
        lambda found: found.status == 503,
    )
    writer.write(first)
    assert (await read(reader)).status == 202
    writer.close()

    assert int(busy.headers["retry-after"]) > 0
    assert "too many large webhooks" in busy.error
    assert (await door.post("/hooks/github", signed(large), large)).status == 202


# ── large and strange ────────────────────────────────────────────────────────


async def test_a_packed_body_is_not_unpacked(door: Door) -> None:
    """It would be a way around every limit; the signature is over the bytes as sent."""
    packed = gzip.compress(b"0" * (200 * MIB // 8))
    headers = signed(packed, Content_Encoding="gzip")

    assert (await door.post("/hooks/github", headers, packed)).status == 202
    found = await door.inbox.find("github", "delivery-1")
    assert found is not None
    assert found.body == packed


NAMES = st.sampled_from(
    [
        "X-Hub-Signature-256", "X-GitHub-Delivery", "X-GitHub-Event", "Content-Type",
        "Content-Length", "Expect", "Transfer-Encoding", "Content-Encoding", "Host", "Connection",
        "Upgrade", "X-Gitlab-Token", "X-Gitlab-Event", "X-Gitlab-Event-UUID", "Idempotency-Key",
        "webhook-id", "webhook-signature", "Cookie", "Range", "If-None-Match",
    ]
)  # fmt: skip
VALUES = (
    st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\r\n\0"))
    | st.sampled_from([b"-1", b"1e3", b"+62", b"9" * 20, b"x" * 9000, b"100-continue"])
)  # fmt: skip


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from(["github", "gitlab"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_absurd_headers_never_give_a_500(
    door: Door, caplog: pytest.LogCaptureFixture, absurd: dict[str, bytes], host: str
) -> None:
    headers = {"Content-Length": str(len(BODY))} | (signed() if host == "github" else with_token())
    head = head_of(f"POST /hooks/{host}", headers | absurd | {"Connection": b"close"})
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head + BODY)
    writer.write_eof()
    try:
        async with asyncio.timeout(5):
            answered = await reader.read()
    except ConnectionError:  # it has closed on us, which is an answer too
        answered = b""
    writer.close()

    assert b" 500 " not in answered[:20]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_no_secret_and_no_body_ever_gets_into_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "sha256=" + "ab" * 32
    await door.post("/hooks/github", signed())
    await door.post("/hooks/github", signed() | {"X-Hub-Signature-256": wrong})
    await door.post("/hooks/gitlab", with_token(X_Gitlab_Token="a wrong token"))
    await door.post("/hooks/gitlab", with_token(X_Gitlab_Event=None))
    await door.post("/nowhere", signed() | {"Cookie": "a cookie"})
    await door.post("/hooks/gitlab", with_token(X_Gitlab_Token=b"a wrong token\x01"))

    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "webhook refused" in logged
    secrets = (SECRET, TOKEN, wrong[7:], "a wrong token", "a cookie", "what only the body knows")
    assert [secret for secret in secrets if secret in logged] == []
