"""One promise, several services: each keeps to the port (`ports.sign_in`), over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.core.errors import BridgeError, Refused, Rejected, Unreachable
from bridge.oauth import discovery, http
from bridge.ports.sign_in import Returned, SignsIn
from tests.fakes.identity import CLIENT, FakeIssuer, key, published, signed
from tests.worlds.identity import BACK, CHALLENGE, SERVICES, Service, secrets_in, service_of

STAND_INS = [name for name in SERVICES if name != "oidc-provider-mock"]
ISSUERS = [name for name in STAND_INS if name != "github"]


@pytest.fixture(params=SERVICES)
async def service(request: Any) -> AsyncIterator[Service]:
    async with service_of(request.param) as one:
        yield one


@pytest.fixture(params=STAND_INS)
async def stand_in(request: Any) -> AsyncIterator[Service]:
    async with service_of(request.param) as one:
        yield one


@pytest.fixture(params=ISSUERS)
async def lying(request: Any) -> AsyncIterator[tuple[Service, FakeIssuer]]:
    async with service_of(request.param) as one:
        assert one.issuer is not None
        yield one, one.issuer


async def refused(service: Service, way: SignsIn | None = None) -> BridgeError:
    """Fail to sign in; return the error, which has no secret in it."""
    with pytest.raises(BridgeError) as raised:
        await service.person(way or service.way())
    assert secrets_in(str(raised.value)) == []
    return raised.value


# ── what every service does ──────────────────────────────────────────────────────────────────────


async def test_who_signs_in_is_who_comes_back_and_a_code_works_once(service: Service) -> None:
    way = service.way()
    await way.check()
    address = await way.address(CHALLENGE)
    asked = {name: one[0] for name, one in parse_qs(urlsplit(address).query).items()}
    assert asked["client_id"] == CLIENT
    assert asked["redirect_uri"] == BACK
    assert asked["state"] == CHALLENGE.state
    assert asked["code_challenge_method"] == "S256"
    assert CHALLENGE.verifier not in address

    found = await service.returned(address)
    returned = Returned(found["code"], found.get("iss", ""))
    person = await way.person(CHALLENGE, returned)
    assert person.id == service.wanted
    assert person.name
    assert person.email is None or service.key == "slack"
    assert person.member == (service.key == "slack")
    assert not person.stranger
    for given in (returned, Returned("0" * 32)):
        with pytest.raises(Rejected, match="Sign in again"):
            await way.person(CHALLENGE, given)


async def test_the_code_of_another_browser_is_refused(stand_in: Service) -> None:
    way = stand_in.way()
    found = await stand_in.returned(await way.address(CHALLENGE))
    another = replace(CHALLENGE, verifier="another-verifier-of-the-tests-0123456789-0123456")

    with pytest.raises(Rejected, match="another client"):
        await way.person(another, Returned(found["code"]))


async def test_a_client_that_the_service_does_not_know_is_told_which_setting(
    stand_in: Service,
) -> None:
    section = "CONSOLE_OIDC" if stand_in.key == "oidc" else f"{stand_in.key.upper()}_SIGN_IN"
    way = stand_in.way(**{f"BRIDGE_{section}_CLIENT_SECRET": "another"})

    error = await refused(stand_in, way)
    assert isinstance(error, Refused)
    assert "client id and secret" in str(error)
    assert section.lower().replace("_", ".", 1) in str(error)


async def test_a_service_that_is_away_is_unreachable(stand_in: Service) -> None:
    found = await stand_in.returned(await stand_in.way().address(CHALLENGE))
    gone = {
        name: "http://127.0.0.1:9" + urlsplit(value).path if value.startswith("http") else value
        for name, value in stand_in.variables.items()
    }
    away = replace(stand_in, variables=gone).way()

    for asked in (away.check(), away.person(CHALLENGE, Returned(found["code"]))):
        with pytest.raises(Unreachable, match="nothing listens"):
            await asked


# ── ID tokens that must not be believed ──────────────────────────────────────────────────────────

PUBLIC = key("k1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def without_signature(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": "k1"})


def by_hmac_with_the_public_key(claims: dict[str, Any]) -> str:
    with patch.object(jwt.algorithms.HMACAlgorithm, "prepare_key", lambda _self, given: given):
        return jwt.encode(claims, PUBLIC, "HS256", headers={"kid": "k1"})


def by(name: str, id_: str) -> Callable[[dict[str, Any]], str]:
    return lambda claims: jwt.encode(claims, key(name), "RS256", headers={"kid": id_})


def by_an_algorithm_that_is_not_announced(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key("k1"), "RS384", headers={"kid": "k1"})


def with_the_signature_of_another(claims: dict[str, Any]) -> str:
    signature = signed(claims | {"sub": "another"}).rpartition(".")[2]
    return f"{signed(claims).rpartition('.')[0]}.{signature}"


def changed(**others: Any) -> Any:
    def forge(claims: dict[str, Any]) -> str:
        now = {**claims, **others}
        return signed({name: value for name, value in now.items() if value is not None})

    return forge


def timed(claim: str, seconds: int) -> Any:
    """Move a time so far from now."""
    return lambda claims: signed({**claims, claim: int(time.time()) + seconds})


FORGED: list[tuple[Callable[[dict[str, Any]], str], str]] = [
    (without_signature, "algorithm"),
    (by_hmac_with_the_public_key, "algorithm"),
    (by_an_algorithm_that_is_not_announced, "algorithm"),
    (by("k2", "k1"), "signature is wrong"),  # by a key of the same name
    (lambda claims: signed(claims, "k9"), "does not publish"),
    (with_the_signature_of_another, "signature is wrong"),
    (lambda claims: "no token", "can't be read"),
    (lambda claims: "", "can't be read"),
    (changed(nonce="another"), "nonce"),
    (changed(nonce=None), "nonce"),
    (changed(nonce=["a-nonce"]), "nonce"),
    (changed(aud="another-client"), "another client"),
    (changed(aud=["another-client"]), "another client"),
    (changed(aud=[CLIENT, "another-client"]), "another client"),
    (changed(azp="another-client"), "another client"),
    (changed(iss="https://evil.example"), "another issuer"),
    (timed("exp", -120), "expired"),
    (changed(exp=None), "claim is missing"),
    (timed("iat", 3600), "from the future"),
    (changed(sub=None), "claim is missing"),
    (changed(sub=""), "subject"),
    (changed(sub=7), "can't be read"),
    (changed(sub="a\nb"), "subject"),
]


async def test_an_id_token_that_is_not_sound_signs_nobody_in(
    lying: tuple[Service, FakeIssuer],
) -> None:
    service, issuer = lying
    for number, (forge, why) in enumerate(FORGED):
        issuer.forge = forge
        error = await refused(service)
        assert isinstance(error, Refused), (number, why)
        assert why in str(error), number


@pytest.mark.parametrize("id_", ["k1", "k2"], ids=["the same id", "a new id"])
async def test_a_new_key_is_asked_for_once_and_forged_tokens_ask_once_a_minute(
    lying: tuple[Service, FakeIssuer], id_: str
) -> None:
    service, issuer = lying
    way = service.way()
    await service.person(way)
    issuer.keys = [published("k2") | {"kid": id_}]
    issuer.forge = by("k2", id_)
    await service.person(way)
    await service.person(way)
    assert issuer.asked.count("keys") == 2
    assert issuer.asked.count("openid-configuration") == 1

    issuer.forge = by("k9", id_)
    for _ in range(3):
        await refused(service, way)
    assert issuer.asked.count("keys") == 2
    with patch.object(discovery, "AGAIN", 0.0):
        await refused(service, way)
    assert issuer.asked.count("keys") == 3


async def test_a_token_without_a_key_s_name_needs_the_only_key(
    lying: tuple[Service, FakeIssuer],
) -> None:
    service, issuer = lying
    issuer.forge = lambda claims: jwt.encode(claims, key("k1"), "RS256")
    await service.person(service.way())

    issuer.keys.append(published("k2"))
    assert "does not publish" in str(await refused(service))


async def test_a_key_that_can_t_verify_signs_nobody_in(
    lying: tuple[Service, FakeIssuer],
) -> None:
    service, issuer = lying
    broken: dict[str, Any]
    for broken in (
        {"kty": "oct", "kid": "k1", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "k1"},
        {"kid": "k1"},
        published() | {"use": "enc"},
    ):
        issuer.keys = [broken]
        assert isinstance(await refused(service), Refused), broken


# ── issuers that must not be believed ────────────────────────────────────────────────────────────


async def test_metadata_that_is_not_sound_is_refused(lying: tuple[Service, FakeIssuer]) -> None:
    service, issuer = lying
    said: dict[str, Any]
    for said, why in (
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": None}, "no issuer of OpenID Connect"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "asymmetric"),
        ({"token_endpoint": "ftp://127.0.0.1/token"}, "not https"),
        ({"jwks_uri": "//127.0.0.1/keys"}, "not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not https"),
    ):
        issuer.metadata = said
        for ask in (service.way().check(), service.way().address(CHALLENGE)):
            with pytest.raises(Refused, match=why):
                await ask


async def test_who_sent_the_browser_back_is_checked_where_the_issuer_says_so(
    lying: tuple[Service, FakeIssuer],
) -> None:
    service, issuer = lying
    issuer.names_itself = True
    way = service.way()
    await service.person(way)
    for given in ("", "https://evil.example"):
        found = await service.returned(await way.address(CHALLENGE))
        with pytest.raises(Refused, match="another issuer"):
            await way.person(CHALLENGE, Returned(found["code"], given))


PARTS = ["openid-configuration", "token", "keys"]
BODIES = [b"", b"<html>", b"[]", b'"text"', b"[" * 100_000, b"\xff"]


@pytest.mark.parametrize("part", PARTS)
async def test_an_answer_that_is_none_signs_nobody_in(
    lying: tuple[Service, FakeIssuer], part: str
) -> None:
    """Nor one that is huge, never ends, or leads elsewhere."""
    service, issuer = lying
    issuer.instead[part] = endless
    assert "bytes" in str(await refused(service))
    issuer.instead[part] = trickling
    with patch.object(http, "SECONDS", 0.5):
        error = await refused(service)
    assert isinstance(error, Unreachable)
    assert "within" in str(error)
    issuer.instead[part] = to_elsewhere
    assert "redirects" in str(await refused(service))
    assert "elsewhere" not in issuer.asked
    issuer.instead[part] = saying(b"", 503)
    assert isinstance(await refused(service), Unreachable)
    for body in BODIES:
        issuer.instead[part] = saying(body)
        assert isinstance(await refused(service), Refused), body


def saying(body: bytes, status: int = 200) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answer whatever is asked with this."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * 2**16)
    return response


async def trickling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)  # it is slow


async def to_elsewhere(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere"})
