"""The settings of Slack."""

import re
from collections.abc import Iterator
from typing import Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from bridge.ports.settings import Address, Credential, Secret, Section, SignInClient

SECRETS = {
    "bot_token": ("xoxb-", "the Bot User OAuth Token (xoxb-…, OAuth & Permissions)"),
    "app_token": ("xapp-", "the App-Level Token (xapp-…, Basic Information)"),
    "signing_secret": ("", "the Signing Secret (Basic Information)"),
}
"""The prefixes of Slack's secrets, by their setting, and their names in Slack."""


_FORMS = {
    "bot_token": re.compile(r"(xoxe\.)?xoxb-.+"),
    "app_token": re.compile(r"xapp-.+"),
    "signing_secret": re.compile(r"[0-9a-f]{32}"),
}
"""The format of each of Slack's secrets, by its setting."""


def doubts(settings: "Slack") -> Iterator[tuple[str, str]]:
    """Yield the secrets that are not in Slack's format, each with the remedy."""
    for name, form in _FORMS.items():
        value: SecretStr | None = getattr(settings, name)
        if value is not None and not form.fullmatch(value.get_secret_value().strip()):
            begin, what = SECRETS[name]
            looks = f"{begin} in front" if begin else "32 hexadecimal digits"
            yield f"slack.{name}: Slack makes it with {looks}", f"copy {what} anew"


class Slack(Section):
    """The team's chat, by HTTP (a signing secret) or Socket Mode (an app token)."""

    bot_token: Credential | None = Field(
        None, description="the bot token, xoxb-…; without it there is no chat"
    )
    signing_secret: Secret | None = Field(
        None, description="for HTTP: the secret that Slack signs its requests with"
    )
    app_token: Credential | None = Field(
        None, description="the app token, xapp-…, for Socket Mode, which needs no public address"
    )
    team_id: str = Field("", description="the workspace (T…) to serve; by default the token's")
    channel: str = Field("", description="the channel for cards of apps whose rules name none")
    api_url: Address = Field("https://slack.com/api/", description="base address of its API")
    people_every: float = Field(
        300.0, gt=0, description="seconds for which a person's groups and email are cached"
    )
    sign_in: SignInClient = SignInClient()

    @field_validator("team_id")
    @classmethod
    def _is_a_team(cls, value: str) -> str:
        if value and not re.fullmatch(r"[TE][A-Z0-9]+", value):
            raise ValueError("it must be a workspace id such as T024BE7LD")
        return value

    @field_validator("channel")
    @classmethod
    def _is_one_channel(cls, value: str) -> str:
        if re.search(r"[\s,]", value):
            raise ValueError("it must be one channel, e.g. C024BE91L or #deploys")
        return value

    @field_validator(*SECRETS)
    @classmethod
    def _belongs_here(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Refuse a token of the wrong kind; accept tokens of unknown kinds."""
        here = info.field_name or ""
        if here == "bot_token" and value and value.get_secret_value().startswith("xoxp-"):
            raise ValueError(
                f"it begins with xoxp-, so it is a person's token; here belongs {SECRETS[here][1]}"
            )
        for setting, (begin, what) in SECRETS.items():
            if value and begin and setting != here and value.get_secret_value().startswith(begin):
                raise ValueError(
                    f"it begins with {begin}, so it is {what}; that is BRIDGE_SLACK_"
                    f"{setting.upper()}, and here belongs {SECRETS[here][1]}"
                )
        return value

    @model_validator(mode="after")
    def _knows_its_workspace(self) -> Self:
        if self.sign_in.client_id is not None and self.bot_token is None:
            raise ValueError(
                "slack.sign_in is set, but bot_token is not: its workspace is the one whose"
                " people may sign in, so set BRIDGE_SLACK_BOT_TOKEN"
            )
        return self
