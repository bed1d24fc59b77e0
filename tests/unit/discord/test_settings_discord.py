"""An address of a webhook is taken as Discord gives it, and nothing else is; none is told."""

import pytest

from bridge.chats.discord.settings import parsed

ID, TOKEN = "123456789012345678", "s3cret-Token_of_a_webhook"


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
