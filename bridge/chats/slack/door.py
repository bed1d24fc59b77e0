"""Receive Slack's requests by HTTP or Socket Mode: Bolt behind our own checks.

Handlers keep a request that acts, then acknowledge, then go on: Bolt runs with
`process_before_response`, so Slack gets what a handler returns. Access is checked before any
handler runs: the signature (HTTP), and the one workspace that is served.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import aiohttp

from bridge.chats.slack import actions, commands, config_dialog, home, locks
from bridge.chats.slack import commands as shortcuts
from bridge.chats.slack.answers import problem
from bridge.chats.slack.api import SlackClient
from bridge.chats.slack.home import Homes
from bridge.chats.slack.payloads import SLACK, check_form
from bridge.chats.slack.render import Outgoing
from bridge.chats.slack.workspace import Parts
from bridge.connecting.clients import session
from bridge.connecting.proxies import proxy_for
from bridge.core.errors import BadSignature, BridgeError, MalformedPayload
from bridge.core.validation_errors import kind_of
from bridge.ports.chats import HttpAnswer
from bridge.ports.clock import Clock

WINDOW = 300
"""The maximum age of a request in seconds, clock differences included; an older one is a replay."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Proof:
    """The claims in the headers; never logged."""

    timestamp: str
    signature: str


def opened(headers: Mapping[str, str], now: float) -> Proof:
    """Read the headers, before the body; raise BadSignature if no body can fit them."""
    timestamp = headers.get("X-Slack-Request-Timestamp", "")
    signature = headers.get("X-Slack-Signature", "")
    if not timestamp or not signature:
        raise BadSignature("X-Slack-Signature and X-Slack-Request-Timestamp must both be present")
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise BadSignature("X-Slack-Request-Timestamp is not a number of seconds")
    if _SIGNATURE.fullmatch(signature) is None:
        raise BadSignature("X-Slack-Signature does not have the form v0=<64 hex digits>")
    if abs(now - int(timestamp)) > WINDOW:
        raise BadSignature(
            f"X-Slack-Request-Timestamp is more than {WINDOW} s off: a replay, or a wrong clock"
        )
    return Proof(timestamp, signature)


def verify(secret: bytes, proof: Proof, body: bytes) -> None:
    """Check the signature over the raw bytes; raises BadSignature."""
    if not hmac.compare_digest(signature(secret, proof.timestamp, body), proof.signature.encode()):
        raise BadSignature("X-Slack-Signature does not fit the body")


def signature(secret: bytes, timestamp: str, body: bytes) -> bytes:
    """Return Slack's signature of a request."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return b"v0=" + hmac.new(secret, signed, hashlib.sha256).hexdigest().encode()


# ── Parse Slack's requests into the one form that handlers get. Pure ──────────────────────────────

_OBJECTS = ("user", "view", "container", "message", "event")
_MOST_FIELDS = 100


def payload_of(content_type: str, body: bytes) -> dict[str, Any]:
    """Read a body; raise MalformedPayload if Slack would not send it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MalformedPayload("the body is not UTF-8") from None
    if content_type.partition(";")[0].strip().lower() == "application/json":
        return _checked(_json(text))
    try:
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise MalformedPayload("the body is not a form as Slack sends it") from None
    return _checked(_json(fields["payload"]) if "payload" in fields else fields)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedPayload("the body is not JSON") from None


def _checked(payload: Any) -> dict[str, Any]:
    """Check the shape that handlers rely on; values are not checked."""
    if not isinstance(payload, dict):
        raise MalformedPayload(f"the body must be an object, and is {kind_of(payload)}")
    for name in _OBJECTS:
        if not isinstance(found := payload.get(name, {}), dict):
            raise MalformedPayload(f"{name} must be an object, and is {kind_of(found)}")
    actions = payload.get("actions", [{}])
    if not isinstance(actions, list) or not actions:
        raise MalformedPayload(f"actions must be a list of objects, and is {kind_of(actions)}")
    for one in actions:
        if not isinstance(one, dict):
            raise MalformedPayload(f"actions must hold objects, and holds {kind_of(one)}")
    return payload


# ── Receive Slack's requests by HTTP or Socket Mode: Bolt behind our own checks ───────────────────

log = logging.getLogger(__name__)

PASSED_ON = ("X-Slack-Retry-Num", "X-Slack-Retry-Reason")
"""Headers to pass to Bolt; others could control it."""

ELSEWHERE = "This bridge serves another Slack workspace, so it does nothing here."
NOT_YET = (
    "The bridge does not know its Slack workspace yet, since Slack can't be reached. Set"
    " `slack.team_id`, or try again in a minute."
)


class SlackDoor:
    """`POST /slack/events`: all requests that Slack sends by HTTP."""

    def __init__(self, bolt: Any, secret: str, clock: Clock) -> None:
        """Take the parts; raise ValueError for an empty secret, which would let everybody in."""
        if not secret:
            raise ValueError("an empty signing secret would let everybody in")
        self._bolt = bolt
        self._secret = secret.encode()
        self._clock = clock

    def open(self, headers: Mapping[str, str]) -> Proof:
        """Read the headers, before the body; raises BadSignature."""
        return opened(headers, self._clock())

    async def take(self, opened: Proof, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Check and handle a request.

        Raises:
            BadSignature: it is not from Slack.
            MalformedPayload: it is, but not in Slack's form.
        """
        verify(self._secret, opened, body)
        payload = payload_of(headers.get("Content-Type", ""), body)
        check_form(payload)
        passed_on = {name: headers[name] for name in PASSED_ON if name in headers}
        return await self._dispatched(payload, {**passed_on})

    async def _dispatched(
        self, payload: dict[str, Any], headers: dict[str, str | Sequence[str]]
    ) -> HttpAnswer:
        """Pass it to Bolt in Socket Mode's form, so both transports are handled alike."""
        from slack_bolt.request.async_request import AsyncBoltRequest

        try:
            request = AsyncBoltRequest(body=payload, headers=headers, mode="socket_mode")
            answer = await self._bolt.async_dispatch(request)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # Bolt trusts a signed request to be complete; errors of our handlers end in `_told`.
            why = "a field is missing, or has another type than Slack sends"
            raise MalformedPayload(f"the body can't be read: {why}") from None
        if answer.status == HTTPStatus.NOT_FOUND:  # no handler; if refused, it would be sent again
            return HttpAnswer(HTTPStatus.OK)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # before any of our handlers
            raise MalformedPayload("the body does not have Slack's form")
        kind = answer.first_headers().get("content-type", "text/plain").partition(";")[0]
        return HttpAnswer(answer.status, answer.body or "", kind)


def build_bolt(parts: Parts, homes: Homes) -> Any:
    """Return the Bolt app with all handlers."""
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult

    async def authorize(**_: Any) -> AuthorizeResult:
        """Return the known workspace, so Bolt need not ask Slack first."""
        return AuthorizeResult(
            enterprise_id=None, team_id=parts.workspace.team, bot_user_id=parts.workspace.bot_user
        )

    bolt = AsyncApp(
        name="dokploy-bridge",
        logger=logging.getLogger("bridge.chats.slack.bolt"),
        process_before_response=True,
        authorize=authorize,
        request_verification_enabled=False,  # `SlackDoor.take` did it
        ssl_check_enabled=False,
        attaching_function_token_enabled=False,
        ignoring_self_events_enabled=True,
    )
    bolt.use(_workspace(parts))
    bolt.error(_told)
    for register in (
        commands.register,
        actions.register,
        shortcuts.register_shortcuts,
        config_dialog.register,
        config_dialog.register_agreement,
        config_dialog.register_lists,
        locks.register,
    ):
        register(bolt, parts)
    home.register(bolt, parts, homes)
    _ignore_the_rest(bolt)
    return bolt


def teams_of(body: Mapping[str, Any], bot_user: str) -> set[str]:
    """Return the workspaces that a request may be about.

    If a person of a connected workspace acts in ours, the request names theirs, and the dialog or
    our message that they clicked names the one with the app. Their rights are checked separately,
    by their own id alone.
    """
    team, view = body.get("team"), body.get("view") or {}
    message = body.get("message") or {}
    found = [
        team.get("id") if isinstance(team, dict) else None,
        body.get("team_id"),
        view.get("app_installed_team_id"),
        message.get("team") if bot_user and message.get("user") == bot_user else None,
    ]
    return {str(one) for one in found if one}


def _workspace(parts: Parts) -> Any:
    """Admits only the one workspace that is served."""
    from slack_bolt.response import BoltResponse

    async def one_workspace(body: dict[str, Any], next: Any) -> Any:  # noqa: A002 - Bolt's name
        ours = parts.workspace.team
        theirs = teams_of(body, parts.workspace.bot_user)
        if ours and ours in theirs:
            return await next()
        why = ELSEWHERE if ours else NOT_YET
        named = " ".join(sorted(theirs))[:80]
        log.warning("refused", extra={"chat": SLACK, "team": named, "why": why})
        said = {"response_type": "ephemeral", "text": why}
        if body.get("command"):
            return BoltResponse(status=200, body=said)
        if url := str(body.get("response_url") or ""):
            answer = {"replace_original": False, **said}
            parts.background.start(parts.client.answer(url, answer), "refusal")
        return BoltResponse(status=200, body="")

    return one_workspace


async def _told(error: Exception, body: dict[str, Any]) -> Any:
    """Answer Slack after a handler has failed, and log the reason."""
    from slack_bolt.response import BoltResponse

    if isinstance(error, BridgeError):
        log.warning("a request from slack failed", extra={"why": str(error)})
        said = problem(str(error))
    else:
        log.error("a request from slack failed", exc_info=error)
        said = problem("The bridge had an internal error; its log says more.")
    if not body.get("command"):
        return BoltResponse(status=200, body="")
    return BoltResponse(
        status=200,
        body=json.dumps(Outgoing(said).body()),
        headers={"content-type": ["application/json"]},
    )


def _ignore_the_rest(bolt: Any) -> None:
    """Accept requests without a handler: Slack would resend refused ones."""
    anything = re.compile("")

    async def ignored(ack: Any) -> Any:
        return await ack()

    for listen in (bolt.event, bolt.action, bolt.options, bolt.view, bolt.shortcut, bolt.command):
        listen(anything)(ignored)


# ── Socket Mode: the same handlers over a WebSocket that we open, without a public address ────────

PING_SECONDS = 10.0
"""Seconds between pings, and before a new attempt to connect."""


MOST_MESSAGE = 2**20
"""The most bytes of a message; Slack's own are well below: a filled-in dialog has 250 KB."""

_ADDRESS = re.compile(r"wss?://\S+")
"""Contains a ticket that grants access."""


class Socket:
    """Keeps one connection to Slack, and reopens it when it ends."""

    def __init__(self, bolt: Any, client: SlackClient, app_token: str) -> None:
        self._bolt = bolt
        self._client = client
        self._app_token = app_token
        self._handler: Any = None

    async def run(self) -> None:
        """Connect, and stay connected as long as the process lives."""
        from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

        self._handler = AsyncSocketModeHandler(
            self._bolt,
            self._app_token,
            logger=_quiet(),
            web_client=self._client.plain(),
            ping_interval=PING_SECONDS,
        )
        sdk = self._handler.client
        await sdk.aiohttp_client_session.close()
        sdk.aiohttp_client_session = _Bounded(session())
        sdk.on_error_listeners.append(_not_read)
        try:
            await self._handler.connect_async()
            log.info("socket mode is connected")
            await asyncio.Event().wait()
        finally:
            await self._handler.close_async()


class _Bounded:
    """A session whose WebSockets close on an oversized message; the SDK sets no limit.

    They go through our proxy, not that of the SDK, which knows no NO_PROXY.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ws_connect(self, url: str, **settings: Any) -> Any:
        """Connect as every session does, with the limit for incoming messages."""
        ours = {"max_msg_size": MOST_MESSAGE, "proxy": proxy_for(url)}
        return await self._session.ws_connect(url, **{**settings, **ours})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


async def _not_read(message: aiohttp.WSMessage) -> None:
    """Log why a connection ends; on the next one Slack resends what was not acknowledged."""
    code = getattr(message.data, "code", None)
    why = "it breaks the rules of WebSockets"
    if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        why = f"more than {MOST_MESSAGE >> 20} MiB"
    log.warning("slack sent an unsupported message over the socket: %s", why)


class _Once(logging.Filter):
    """Logs a problem once, on one line: the SDK repeats it with a traceback at every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._said = ""

    def filter(self, record: logging.LogRecord) -> bool:
        said = _ADDRESS.sub("wss://…", record.getMessage())
        record.msg, record.args, record.exc_info = said, (), None
        new, self._said = said != self._said, said
        return new


def _quiet() -> logging.Logger:
    """slack_sdk's logger, whose lines below errors contain addresses with one-time tickets."""
    logger = logging.getLogger("bridge.chats.slack.sdk")
    logger.setLevel(logging.ERROR)
    if not logger.filters:
        logger.addFilter(_Once())
    return logger
