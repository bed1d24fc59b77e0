"""Which channels show what, each chat taking its own; and which addresses of webhooks are taken."""

import pytest

from bridge.chats.discord.posts import plans_for
from bridge.chats.discord.settings import Webhook, parsed
from bridge.core.errors import Rejected
from bridge.core.events import Action, Asked
from bridge.core.people import Actor
from bridge.messages.plans import Channels
from bridge.ports.feedback import Occasion
from bridge.ports.outcomes import Audited, Outcome, about_delivery
from bridge.settings import channels_of, read_settings
from tests.fakes.journey import app, deployment, push
from tests.worlds.rows import each_row

ADDRESS = "https://discord.com/api/webhooks/12345678901234567{}/a-token-of-a-webhook"
GIVEN = {
    "BRIDGE_SLACK_BOT_TOKEN": "xoxb-1",
    "BRIDGE_DISCORD_WEBHOOK": ADDRESS.format(1),
    "BRIDGE_DISCORD_WEBHOOKS": f"{{ops: '{ADDRESS.format(2)}', again: '{ADDRESS.format(2)}'}}",
}
WEBHOOKS = {
    "default": Webhook("default", "1", "t"),
    "ops": Webhook("ops", "2", "t"),
    "again": Webhook("again", "2", "t"),
}


def ruled(*channels: str) -> list[list[tuple[str, tuple[str, ...]]]]:
    """What a rule with these channels says to Slack, and to Discord."""
    rules = f"[{{apps: shop/*, channels: [{', '.join(map(repr, channels))}]}}]"
    settings = read_settings(None, GIVEN | {"BRIDGE_RULES": rules})
    return [channels_of(settings, chat) for chat in ("slack", "discord")]


@each_row(
    ("channels", "slack", "discord"),
    [
        (("#shop", "C024BE91L"), ("#shop", "C024BE91L"), None),
        (("discord:ops",), None, ("ops",)),
        (("#shop", "discord:ops", "discord:default"), ("#shop",), ("ops", "default")),
        (("slack:#shop",), ("#shop",), None),
        ((), (), ()),
    ],
)
def test_each_chat_takes_the_names_that_are_its_own(
    channels: tuple[str, ...], slack: tuple[str, ...] | None, discord: tuple[str, ...] | None
) -> None:
    expected = [[] if own is None else [("shop/*", own)] for own in (slack, discord)]

    assert ruled(*channels) == expected


def test_a_channel_that_is_not_set_is_named_with_those_there_are() -> None:
    with pytest.raises(Rejected, match=r"there are: discord:again, discord:default, discord:ops"):
        ruled("discord:opps")


@each_row(
    ("names", "shown"),
    [
        (("ops", "again", "default"), [("ops", "discord 2"), ("default", "discord 1")]),
        (("again", "ops", "again"), [("again", "discord 2")]),
        (("ops", "gone"), [("ops", "discord 2"), ("gone", "discord gone")]),
    ],
)
def test_two_names_of_one_webhook_are_one_channel(
    names: tuple[str, ...], shown: list[tuple[str, str]]
) -> None:
    channels = Channels([("*/*", names)])
    occasion = Occasion(push(), None, Outcome(1, "d1", (), (deployment(1),)), {})
    note = Audited(1.0, Actor("cli", "ada"), "env set", "app-web", "shop/web", (), number=3)

    plans = plans_for(channels, WEBHOOKS)
    cards, changes = plans.cards(occasion), plans.of_change(note)

    assert [(one.place["channel"], one.lane) for one in cards] == shown
    assert [(one.place["channel"], one.lane) for one in changes] == shown


@each_row("action", [Action.CONFIGURE, Action.UNDO, Action.DEPLOY])
def test_a_change_that_was_asked_for_in_another_chat_is_told(action: Action) -> None:
    asked = Asked(action, "app-web", Actor("slack", "Ada", "U1"), person="U1", channel="C1")
    occasion = Occasion(asked, asked, Outcome(7, "d7", ()), {"app-web": app()})

    found = plans_for(Channels(default="default"), WEBHOOKS).changes(occasion)

    if action is Action.DEPLOY:
        assert found == []
    else:
        (one,) = found
        assert (one.kind, one.follows) == ("discord.change", (about_delivery(7),))
        assert one.place == {"seq": 7, "channel": "default"}


# ── the address of a webhook ───────────────────────────────────────────────────


ID, TOKEN = "123456789012345678", "s3cret-Token_of_a_webhook"


@each_row(
    "address",
    [
        f"https://discord.com/api/webhooks/{ID}/{TOKEN}",
        f"https://discordapp.com/api/webhooks/{ID}/{TOKEN}",
        f"https://ptb.discord.com/api/v10/webhooks/{ID}/{TOKEN}",
        f"https://canary.discord.com/api/webhooks/{ID}/{TOKEN}/",
        f" https://discord.com/api/webhooks/{ID}/{TOKEN}\n",
    ],
)
def test_an_address_gives_id_and_token(address: str) -> None:
    found = parsed("ops", address)

    assert (found.name, found.id, found.token) == ("ops", ID, TOKEN)
    assert TOKEN not in repr(found)


@each_row(
    ("address", "why"),
    [
        (f"http://discord.com/api/webhooks/{ID}/{TOKEN}", "begin with https://, not http"),
        (f"https://evil.example/api/webhooks/{ID}/{TOKEN}", "be discord.com, not evil.example"),
        (f"https://discord.com.evil.example/api/webhooks/{ID}/{TOKEN}", "must be discord.com"),
        (f"https://discord.com@evil.example/api/webhooks/{ID}/{TOKEN}", "must be discord.com"),
        (f"https://me@discord.com/api/webhooks/{ID}/{TOKEN}", "leave out the port, and a login"),
        (f"https://discord.com:8443/api/webhooks/{ID}/{TOKEN}", "leave out the port"),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN}/slack", "leave out /slack at its end"),
        (f"https://discord.com/api/webhooks/{ID}/{TOKEN}?wait=true", "what follows its token"),
        (f"https://discord.com/channels/{ID}/{ID}", "a number, and a token"),
        (f"https://discord.com/api/webhooks/{TOKEN}", "a number, and a token"),
        (f"https://discord.com/api/webhooks/١٢٣٤٥٦/{TOKEN}", "a number, and a token"),
        (f"https://discord.com/api/webhooks/{ID}/tökentökentöken", "a number, and a token"),
        (f"https://hooks.slack.com/services/T0/B0/{TOKEN}", "not hooks.slack.com"),
        ("https://[", "no address at all"),
        (TOKEN, "begin with https://"),
    ],
)
def test_any_other_is_told_with_the_rule_and_the_remedy(address: str, why: str) -> None:
    with pytest.raises(ValueError, match="Copy Webhook URL") as caught:
        parsed("ops", address)

    assert why in str(caught.value)
    assert TOKEN not in str(caught.value)
