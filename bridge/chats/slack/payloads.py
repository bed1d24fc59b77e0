"""Models of Slack's input: Web API answers, and the payloads that handlers rely on."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from bridge.core.errors import MalformedPayload, Unanswered, Unreachable
from bridge.core.large_json import LARGE, load_large, must_be_usual
from bridge.core.validation_errors import explained_one, kind_of

SLACK = "slack"

MOST_ANSWER = 4 * 2**20
"""Bytes, unpacked. The largest expected answer is a hundred messages of a channel."""


RIGHT = "is slack.api_url right, and is no proxy in between?"


class OddAnswer(aiohttp.ClientPayloadError):
    """An answer that is not from Slack, whose methods all answer with a JSON object."""


class AnswerTooLarge(OddAnswer):
    """An answer is too large to read."""


class BoundedResponse(aiohttp.ClientResponse):
    """An answer of at most `MOST_ANSWER` bytes that is a JSON object.

    Slack's own client reads fields from any answer.
    """

    async def json(self, **how: Any) -> Any:
        """Return the body as an object."""
        try:
            found = await self._loaded(**how)
        except (ValueError, RecursionError, aiohttp.ContentTypeError) as error:
            if self.status != HTTPStatus.OK:  # its status says all
                return {}
            what = "a web page" if isinstance(error, aiohttp.ContentTypeError) else "no JSON"
            raise OddAnswer(f"the answer must be an object, and is {what}; {RIGHT}") from None
        if isinstance(found, dict):
            return found
        raise OddAnswer(f"the answer must be an object, and is {kind_of(found)}")

    async def _loaded(self, **how: Any) -> Any:
        """Return the JSON of the body; of a large one, read while others go on."""
        body = await self.read()
        if len(body) < LARGE:
            return await super().json(**how)
        try:
            must_be_usual(body, "the answer")
        except MalformedPayload as error:
            raise OddAnswer(f"{error}; {RIGHT}") from None
        return await asyncio.to_thread(load_large, body)

    async def text(self, *how: Any, **more: Any) -> str:
        """Return the body as text; raise if it should be an object."""
        if self.content_type == "text/plain":
            raise OddAnswer("the answer must be an object, and is plain text")
        return await super().text(*how, **more)

    async def read(self) -> bytes:
        """Return the body, once it is there."""
        if self._body is None:
            body = bytearray()
            async for piece in self.content.iter_any():
                body += piece
                if len(body) > MOST_ANSWER:
                    self.close()
                    why = f"the answer has more than {MOST_ANSWER >> 20} MiB, which are not read"
                    raise AnswerTooLarge(why)
            self._body = bytes(body)
        return await super().read()


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Answer(dict[str, Any]):
    """Slack's answer to a method; errors name the method and the missing field.

    Slack's own client checks only `ok`, and a proxy in between may answer anything.
    """

    def __init__(
        self,
        method: str,
        fields: Mapping[str, Any],
        error: type[Unreachable | Unanswered] = Unanswered,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        """Take the fields, the error to raise if one is missing, and the headers."""
        super().__init__(fields)
        self._method, self._error = method, error
        self.headers = {name.lower(): value for name, value in headers.items()}

    def text(self, *path: str) -> str:
        """Return a required text; raise the error if it is missing."""
        found: str = self._part(path, str, "a text")
        return found

    def object(self, *path: str) -> Mapping[str, Any]:
        """Return a required object; raise the error if it is missing."""
        found: Mapping[str, Any] = self._part(path, Mapping, "an object")
        return found

    def list(self, *path: str) -> Sequence[Any]:
        """Return a required list; raise the error if it is missing."""
        found: Sequence[Any] = self._part(path, list, "a list")
        return found

    def _part(self, path: Sequence[str], kind: type[Any], words: str) -> Any:
        found: Any = self
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, kind) and found not in ("", {}):
            return found
        where = ".".join(path)
        why = f"{where} must be {words}, and is {kind_of(found)}"
        raise self._error(SLACK, f"{self._method}: {why}")


# ── Payloads ──────────────────────────────────────────────────────────────────────────────────────

Text = str | None


class _Form(BaseModel):
    """Further fields that Slack may add are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Named(_Form):
    id: str


class _Team(_Form):
    id: Text = None


class _Option(_Form):
    value: Text = None


class _Answer(_Form):
    """The content of a field, or a clicked element."""

    type: Text = None
    value: Text = None
    selected_option: _Option | None = None
    selected_options: list[_Option] | None = None


class _Action(_Answer):
    action_id: str
    block_id: Text = None
    action_ts: Text = None


class _State(_Form):
    values: dict[str, dict[str, _Answer]] = Field(default_factory=dict)


class _View(_Form):
    id: str
    callback_id: str
    hash: Text = None
    private_metadata: Text = None
    root_view_id: Text = None
    app_installed_team_id: Text = None
    state: _State | None = None


class _Metadata(_Form):
    event_type: Text = None
    event_payload: dict[str, Any] | None = None


class _Message(_Form):
    ts: Text = None
    user: Text = None
    team: Text = None
    text: Text = None
    metadata: _Metadata | None = None


class _Container(_Form):
    type: Text = None
    message_ts: Text = None
    channel_id: Text = None
    view_id: Text = None


class _Interaction(_Form):
    """The common fields of clicks, dialogs and shortcuts."""

    type: str
    user: _Named
    team: _Team | None = None
    channel: _Named | None = None
    container: _Container | None = None
    view: _View | None = None
    message: _Message | None = None
    trigger_id: Text = None
    response_url: Text = None
    callback_id: Text = None
    action_id: Text = None
    block_id: Text = None
    value: Text = None


class _Click(_Interaction):
    type: Literal["block_actions"]
    trigger_id: str
    actions: list[_Action] = Field(min_length=1)


class _Submission(_Interaction):
    type: Literal["view_submission", "view_closed"]
    view: _View


class _Suggestion(_Interaction):
    type: Literal["block_suggestion"]
    action_id: str
    value: str


class _Shortcut(_Interaction):
    type: Literal["shortcut"]
    callback_id: str
    trigger_id: str


class _OnMessage(_Interaction):
    type: Literal["message_action"]
    callback_id: str
    trigger_id: str
    channel: _Named
    message: _Message


class _Opened(_Form):
    type: Literal["app_home_opened"]
    user: str
    tab: Text = None
    view: _View | None = None


class _OtherEvent(_Form):
    type: str


def _kind_of_event(event: Any) -> str:
    name = event.get("type") if isinstance(event, dict) else None
    return "opened" if name == "app_home_opened" else "other"


class _Happened(_Form):
    type: Literal["event_callback"]
    team_id: Text = None
    event_id: Text = None
    event: Annotated[
        Annotated[_Opened, Tag("opened")] | Annotated[_OtherEvent, Tag("other")],
        Discriminator(_kind_of_event),
    ]


class _Command(_Form):
    """A slash command, whose fields are all texts."""

    command: str
    user_id: str
    channel_id: Text = None
    team_id: Text = None
    text: Text = None
    trigger_id: Text = None
    response_url: Text = None


class _Other(_Form):
    """A payload without a handler, in any form."""

    type: Text = None
    team: Any = None


_FORMS: dict[str, type[_Form]] = {
    "block_actions": _Click,
    "view_submission": _Submission,
    "view_closed": _Submission,
    "block_suggestion": _Suggestion,
    "shortcut": _Shortcut,
    "message_action": _OnMessage,
    "event_callback": _Happened,
}
_ADAPTERS = {kind: TypeAdapter(form) for kind, form in _FORMS.items()}
_COMMAND, _OTHER = TypeAdapter(_Command), TypeAdapter(_Other)


def check_form(payload: dict[str, Any]) -> None:
    """Raise MalformedPayload if a required field is missing or has another type."""
    kind = payload.get("type")
    form: TypeAdapter[Any]
    if "command" in payload and kind is None:
        form = _COMMAND
    else:
        form = _ADAPTERS.get(kind, _OTHER) if isinstance(kind, str) else _OTHER
    try:
        form.validate_python(payload)
    except ValidationError as error:
        first = explained_one(error.errors(include_url=False)[0], payload)
        raise MalformedPayload(f"this is not Slack's form: {first}") from None
