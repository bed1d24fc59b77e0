"""The Slack door: Bolt behind our own checks, by HTTP and by Socket Mode alike.

Handlers keep what acts, then acknowledge, then go on: Bolt runs with `process_before_response`,
so what a handler returns is what Slack gets. Who is let in is settled before any handler runs:
the signature (HTTP), and the one workspace that is served.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from bridge.chats.slack.api.client import SLACK
from bridge.chats.slack.commands import actions, commands, shortcuts
from bridge.chats.slack.commands.outgoing import Outgoing
from bridge.chats.slack.commands.replies import problem
from bridge.chats.slack.configuring import agreeing, changes, dialog, lists
from bridge.chats.slack.home import visits
from bridge.chats.slack.home.visits import Homes
from bridge.chats.slack.parts import Parts
from bridge.chats.slack.receiving.forms import check_form
from bridge.chats.slack.receiving.reading import payload_of
from bridge.chats.slack.receiving.signing import Proof, opened, verify
from bridge.core.errors import BridgeError, MalformedPayload
from bridge.ports.chats import HttpAnswer
from bridge.ports.clock import Clock

log = logging.getLogger(__name__)

PASSED_ON = ("X-Slack-Retry-Num", "X-Slack-Retry-Reason")
"""Headers that Bolt gets to see; it has some of its own that steer it."""

ELSEWHERE = "This bridge serves another Slack workspace, so it does nothing here."
NOT_YET = (
    "The bridge does not know its Slack workspace yet, since Slack can't be reached. Set"
    " `slack.team_id`, or try again in a minute."
)


class SlackDoor:
    """`POST /slack/events`: everything that Slack sends by HTTP."""

    def __init__(self, bolt: Any, secret: str, clock: Clock) -> None:
        """Take the parts; raises ValueError for an empty secret, which would let everybody in."""
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
            MalformedPayload: it is, but not what Slack sends.
        """
        verify(self._secret, opened, body)
        payload = payload_of(headers.get("Content-Type", ""), body)
        check_form(payload)
        passed_on = {name: headers[name] for name in PASSED_ON if name in headers}
        return await self._dispatched(payload, {**passed_on})

    async def _dispatched(
        self, payload: dict[str, Any], headers: dict[str, str | Sequence[str]]
    ) -> HttpAnswer:
        """Hand it to Bolt in the form that Socket Mode has, so that both ways are one."""
        from slack_bolt.request.async_request import AsyncBoltRequest

        try:
            request = AsyncBoltRequest(body=payload, headers=headers, mode="socket_mode")
            answer = await self._bolt.async_dispatch(request)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            # Bolt trusts what is signed to be whole; what handlers of ours raise ends in `_told`.
            raise MalformedPayload(f"the body can't be read ({type(error).__name__})") from None
        if answer.status == HTTPStatus.NOT_FOUND:  # nobody listens to it; refused, it would return
            return HttpAnswer(HTTPStatus.OK)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # before any handler of ours
            raise MalformedPayload("the body has not the form that Slack sends")
        kind = answer.first_headers().get("content-type", "text/plain").partition(";")[0]
        return HttpAnswer(answer.status, answer.body or "", kind)


def build_bolt(parts: Parts, homes: Homes) -> Any:
    """The Bolt app with all handlers."""
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult

    async def authorize(**_: Any) -> AuthorizeResult:
        """One workspace, known: Bolt need not ask Slack before it handles anything."""
        return AuthorizeResult(
            enterprise_id=None, team_id=parts.workspace.team, bot_user_id=parts.workspace.bot_user
        )

    bolt = AsyncApp(
        name="dokploy-bridge",
        logger=logging.getLogger("bridge.chats.slack.bolt"),
        process_before_response=True,
        authorize=authorize,
        request_verification_enabled=False,  # `SlackDoor.take` has done it
        ssl_check_enabled=False,
        attaching_function_token_enabled=False,
        ignoring_self_events_enabled=True,
    )
    bolt.use(_workspace(parts))
    bolt.error(_told)
    for handlers in (commands, actions, shortcuts, dialog, agreeing, lists, changes):
        handlers.register(bolt, parts)
    visits.register(bolt, parts, homes)
    _ignore_the_rest(bolt)
    return bolt


def teams_of(body: Mapping[str, Any], bot_user: str) -> set[str]:
    """The workspaces that a request may be about.

    A person of a connected workspace acts in one of ours: then the request names theirs, and a
    dialog, or the message of ours that they have clicked on, where the app is installed. What
    they may do is another question, and asked of their own id alone.
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
    """Lets in the one workspace that is served."""
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
    """A handler has failed: Slack gets an answer, and the log the reason."""
    from slack_bolt.response import BoltResponse

    if isinstance(error, BridgeError):
        log.warning("a request of slack failed", extra={"why": str(error)})
        said = problem(str(error))
    else:
        log.error("a request of slack failed", exc_info=error)
        said = problem("The bridge failed inside; its log says more.")
    if not body.get("command"):
        return BoltResponse(status=200, body="")
    return BoltResponse(
        status=200,
        body=json.dumps(Outgoing(said).body()),
        headers={"content-type": ["application/json"]},
    )


def _ignore_the_rest(bolt: Any) -> None:
    """What nobody handles is taken all the same: refused, Slack would send it again."""
    anything = re.compile("")

    async def ignored(ack: Any) -> Any:
        return await ack()

    for listen in (bolt.event, bolt.action, bolt.options, bolt.view, bolt.shortcut, bolt.command):
        listen(anything)(ignored)
