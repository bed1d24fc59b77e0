"""The fields of a payload that handlers rely on, and their types. Pure.

A signed request is from Slack, and so has this form. A field of another type would end as an error
somewhere in a handler; here it ends the request, and is named.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from bridge.core.errors import MalformedPayload
from bridge.core.misfits import misfit

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
    """What is in a field, or was clicked on."""

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
    """What every click, dialog and shortcut has."""

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
    """What no handler takes: any form."""

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
    """Raise MalformedPayload if a required field is missing, or of another type."""
    kind = payload.get("type")
    form: TypeAdapter[Any]
    if "command" in payload and kind is None:
        form = _COMMAND
    else:
        form = _ADAPTERS.get(kind, _OTHER) if isinstance(kind, str) else _OTHER
    try:
        form.validate_python(payload)
    except ValidationError as error:
        first = misfit(error.errors(include_url=False)[0], payload)
        raise MalformedPayload(f"this is not as Slack sends it: {first}") from None
