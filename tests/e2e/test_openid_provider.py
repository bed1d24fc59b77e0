"""Signing in to the console with a strict OpenID provider by others, and with one that errs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fakes.identity import CLIENT, SECRET
from tests.oracles.openid_provider import OpenidProvider, openid_provider, signed_in
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.identity import secrets_in
from tests.worlds.setup import command

WAY = "/console/sign-in/oidc"
POST = "client_secret_post"


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenidProvider]:
    with openid_provider() as running:
        yield running


def settings_for(provider: OpenidProvider, secret: str = SECRET, **others: str) -> dict[str, str]:
    return {
        "BRIDGE_ACCESS": "[{who: ['oidc:ada'], may: [view]}]",
        "BRIDGE_CONSOLE_OIDC_ISSUER": provider.url,
        "BRIDGE_CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": secret,
        **{f"BRIDGE_CONSOLE_OIDC_{name}": value for name, value in others.items()},
    }


async def came_back(console: ConsoleWorld, web: httpx.AsyncClient) -> httpx.Response:
    """Sign in there; return what the bridge answers to the browser that comes back."""
    begun = await web.get(WAY)
    assert begun.status_code == 303, begun.text
    place = urlsplit(await signed_in(begun.headers["Location"], f"{console.url}{WAY}/back"))
    return await web.get(f"{place.path}?{place.query}")


# ── the client's secret ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sends:
    """A client, how the bridge is told to send its secret, and what is said if it is refused."""

    registered: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""


SENDS = {
    "in a header unless told otherwise": Sends(),
    "in the form when told so": Sends({"way": POST}, {"TOKEN_AUTH": "post"}),
    "in the form when nothing else is listed": Sends({"way": POST, "ways": [POST]}),
    "with signs that a header must quote": Sends({"secret": "a+b%c:d&e=f/g?h"}),
    "in a header for one of the form": Sends({"way": POST}, {}, "console.oidc.token_auth to post"),
    "and it is another's": Sends({"secret": "another"}, {"secret": SECRET}, "correct console.oidc"),
}


@pytest.mark.parametrize("case", SENDS.values(), ids=SENDS.keys())
async def test_the_secret_is_sent(case: Sends, tmp_path: Path, provider: OpenidProvider) -> None:
    secret = case.told.get("secret", case.registered.get("secret", SECRET))
    given = settings_for(provider, **{**case.told, "secret": secret})
    async with console_world(tmp_path / "bridge", **given) as console, console.browsing("") as web:
        provider.set_up(f"{console.url}{WAY}/back", **case.registered)
        answer = await came_back(console, web)
        assert (answer.status_code == 303) == (not case.refused)
        assert case.refused in answer.text
        assert secrets_in(answer.text) == []

        data = {"BRIDGE_DATA": str(tmp_path / "doctor"), "BRIDGE_PUBLIC_URL": console.url}
        _, out = await command("doctor", "--json", **given, **data)
        found = [one for one in json.loads(out)["findings"] if one["check"].startswith("console.")]
        assert [one["check"] for one in found] == [
            "console.client" if case.refused else "console.issuer"
        ]
        assert case.refused in found[0]["says"]


# ── its ID tokens, and the provider itself, after it has been known ──────────────────────────────

LATER: dict[str, tuple[dict[str, Any] | None, str]] = {
    "has a new key under the same id": ({"signs": ("k2", "k1")}, ""),
    "has a clock 30 s ahead": ({"seconds_ahead": 30}, ""),
    "has a clock ten minutes ahead": ({"seconds_ahead": 600}, "from the future; do the clocks"),
    "has a clock ten minutes behind": ({"seconds_ahead": -600}, "has expired; do the clocks"),
    "means another client": ({"audience": "another-client"}, "is for another client"),
    "is away": (None, "can&#39;t be reached"),
}


@pytest.mark.parametrize(("later", "says"), LATER.values(), ids=LATER.keys())
async def test_a_known_provider(
    later: dict[str, Any] | None, says: str, tmp_path: Path, provider: OpenidProvider
) -> None:
    given = settings_for(provider)
    async with console_world(tmp_path / "bridge", **given) as console, console.browsing("") as web:
        back = f"{console.url}{WAY}/back"
        provider.set_up(back)
        assert (await came_back(console, web)).status_code == 303

        if later is not None:
            provider.set_up(back, **later)
            answer = await came_back(console, web)
        else:
            begun = await web.get(WAY)
            place = urlsplit(await signed_in(begun.headers["Location"], back))
            provider.away()
            answer = await web.get(f"{place.path}?{place.query}")
        assert answer.status_code == (303 if not says else 503 if later is None else 502)
        assert says in answer.text
        assert secrets_in(answer.text) == []
