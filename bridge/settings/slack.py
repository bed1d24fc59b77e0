"""The team's chat."""

from pydantic import Field, SecretStr

from bridge.settings.values import Address, Section


class Slack(Section):
    """The team's chat, by HTTP (a signing secret) or by Socket Mode (an app token)."""

    bot_token: SecretStr | None = Field(None, description="xoxb-…; without it there is no chat")
    signing_secret: SecretStr | None = Field(
        None, description="for HTTP: what Slack signs its requests with"
    )
    app_token: SecretStr | None = Field(
        None, description="xapp-…, for Socket Mode: no public address is needed then"
    )
    team_id: str = Field("", description="the workspace (T…) that is served; else the token's")
    channel: str = Field("", description="where cards of apps go for which no rule names channels")
    api_url: Address = Field("https://slack.com/api/", description="base of its API")
    people_every: float = Field(
        300.0, gt=0, description="seconds until a person's groups and email are asked for again"
    )
