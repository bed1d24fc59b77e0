"""The settings of Discord."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bridge.ports.settings import Address, Credential, Section, as_yaml

DEFAULT = "default"
"""The name of `discord.webhook` in rules."""

_EXAMPLE = "https://discord.com/api/webhooks/<id>/<token>"
_COPY = "copy it anew: Discord, channel settings, Integrations, Webhooks, Copy Webhook URL"
_HOSTS = frozenset({"discord.com", "discordapp.com"})
_BRANCHES = ("ptb.", "canary.", "www.")
_PATH = re.compile(
    r"/api(?:/v\d{1,3})?/webhooks/(?P<id>\d{5,20})/(?P<token>[\w-]{8,200})(?P<format>/[a-z]{1,10})?/?",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}").fullmatch


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook: it may write to one channel.

    Attributes:
        name: what rules call it.
        id: also the scope of Discord's rate limits.
    """

    name: str
    id: str
    token: str = field(repr=False)


def parsed(name: str, address: str) -> Webhook:
    """Return the webhook at an address; raise ValueError, without its token, if it is none."""
    try:
        parts = urlsplit(address.strip())
        host = (parts.hostname or "").lower()
        port = parts.port
    except ValueError:
        raise _no_webhook("it is no address at all") from None
    if parts.scheme != "https":
        raise _no_webhook(f"it must begin with https://{_instead(parts.scheme)}")
    for branch in _BRANCHES:
        host = host.removeprefix(branch)
    if host not in _HOSTS:
        raise _no_webhook(f"its host must be discord.com{_instead(host)}")
    if port is not None or parts.username is not None:
        raise _no_webhook("leave out the port, and a login before its host")
    if (found := _PATH.fullmatch(parts.path)) is None:
        raise _no_webhook("its path must be /api/webhooks/, a number, and a token")
    if found["format"]:
        raise _no_webhook(f"leave out {found['format']} at its end")
    if parts.query or parts.fragment:
        raise _no_webhook("leave out what follows its token")
    return Webhook(name, found["id"], found["token"])


def _instead(given: str) -> str:
    """Return the given text, unless it may hold more than a scheme or a host."""
    return f", not {given}" if re.fullmatch(r"[a-z][a-z0-9.-]{0,60}", given) else ""


def _no_webhook(why: str) -> ValueError:
    return ValueError(f"it is no address of a Discord webhook, {_EXAMPLE}: {why}; {_COPY}")


def _is_webhook(value: SecretStr) -> SecretStr:
    parsed("", value.get_secret_value())
    return value


WebhookAddress = Annotated[Credential, AfterValidator(_is_webhook)]
"""The address of a webhook, which carries its token."""


def _with_names(value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name in value:
        if name == DEFAULT:
            raise ValueError(
                f"{DEFAULT} means the webhook of discord.webhook: set that, or choose another name"
            )
        if not _NAME(name):
            raise ValueError("a webhook's name has 1 to 63 letters, digits, - and _, e.g. ops")
    return value


class Discord(Section):
    """A chat that is only written to, by a webhook for each channel."""

    webhook: WebhookAddress | None = Field(
        None, description="the channel's webhook, for apps for which no rule names one"
    )
    webhooks: Annotated[
        dict[str, WebhookAddress],
        BeforeValidator(partial(as_yaml, nothing=dict)),
        AfterValidator(_with_names),
    ] = Field(
        {},
        description="further webhooks by name, which rules name as discord:<name>; in the"
        " environment as YAML",
    )
    api_url: Address = Field("https://discord.com/api/v10", description="base of its API")

    def named(self) -> dict[str, Webhook]:
        """Return all webhooks by their names in rules."""
        given = dict(self.webhooks)
        if self.webhook is not None:
            given[DEFAULT] = self.webhook
        return {name: parsed(name, one.get_secret_value()) for name, one in given.items()}
