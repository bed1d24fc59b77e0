"""Every recorded answer of a real Dokploy v0.30.2 goes through the client, and is told right.

What is expected stands here by the names of the rows, which say what was done, and not by
their bodies: those are what the client reads. A row that is not replayed has its reason.
"""

import json
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends.dokploy import apps, models
from bridge.backends.dokploy.answers import (
    TABLE,
    Answer,
    Call,
    Forbidden,
    Means,
    NotDokploy,
    row_of,
)
from bridge.backends.dokploy.http import Http
from bridge.backends.dokploy.key_check import PATH, DatabaseAway, DatabaseState, state_in
from bridge.core.errors import BridgeError, KeyRefused, Refused, Unanswered, Unreachable
from tests.oracles.dokploy_recordings import FOLDER, recording

WITNESS = FOLDER / "witness.jsonl"

NOT_REPLAYED = {
    "*-timeline*": "no exchange: changes seen while polling",
    "51-ws-*": "a WebSocket, which the bridge does not open",
    "101-ws-*": "as above",
    "6[0-5]-*": "webhooks, which come to the bridge and not from it",
    "70-gh-*": "webhooks",
    "103-gh-*": "webhooks",
    "27?-*": "webhooks of pull requests, and previews, which the bridge leaves alone",
    "291-database-stopped-api-deploy-github": "a webhook",
    "*seconds-until-answered": "no exchange: measured times",
    "*-rows-while-down": "no exchange: rows of the database",
    "291-deploy-while-database-is-away": "no exchange: a summary of six calls",
}

# What else than a yes each row is, by the first name that fits.
EXPECTED = {
    # Answers that came while the database was stopped.
    "291-database-stopped-no-key": "key",
    "291-database-stopped-fast-health": "yes",
    "291-database-stopped-fast-application.one": "lost",
    "291-database-stopped-*": "key",
    "293-SIG*-project.all-while-down": "away",
    # Keys that were not let in.
    "1[0-5]-auth-none": "key",
    "11-auth-bearer-valid-key": "key",
    "12-auth-bad-key": "key",
    "14-auth-empty-key": "key",
    "15-default-key-request-[67]": "key",
    "98-*-key": "key",
    "200-*-no-key": "key",
    "200-*-bad-key": "key",
    "290-rate-limit-request-[34]": "key",
    "290-rate-limit-exhausted-*": "key",
    "290-remaining-1-first": "key",
    "290-remaining-0": "key",
    "290-user.remove-member-may-not": "forbidden",
    "290-user-no-longer-in-organization-user.get": "yes",
    "290-user-no-longer-in-organization-*": "key at once",
    "290-*-key-*": "key",
    "290-key-without-organization-*": "key",
    # An admin's endpoint: the bridge calls none, and the answer to a member is the one to a
    # key that is used up between its two verifications.
    "298-settings.cleanAllDeploymentQueue-member": "key",
    # The key is good, and lacks a right; some procedures wrap that into a 400.
    "210-project.create-member": "no",
    "262-rollback.rollback-member-no-access": "no",
    "263-rollback.delete-member-no-access": "no",
    "280-environment.duplicate-member": "no",
    "213-application.update-buildServerId-unknown": "forbidden",
    "95-member-*": "forbidden",
    "96-member-access-saveGitProvider": "forbidden",
    "*-member": "forbidden",
    "*-member-no-access": "forbidden",
    "*-member-with-access": "forbidden",
    # Failed inside: it can't be told how far it came.
    "23-github.getGithub*": "unknown",
    "216-application.move-unknown-app": "unknown",
    "220-domain.create-unknown-app": "unknown",
    "213-application.update-environmentId-unknown": "unknown",
    "260-application.update-rollbackRegistryId-unknown": "unknown",
    # The SQL of a save that names a provider which is not there.
    "24-saveGithubProvider-unknown-githubId": "no provider",
    "213-application.update-githubId-unknown": "no provider",
    "250-saveGiteaProvider-unknown-giteaId": "no provider",
    "251-saveBitbucketProvider-unknown-bitbucketId": "no provider",
    # Everything else that is no yes: wrong input, unknown ids, what a server does not do.
    "*": "no",
}

NO_RECORDING = {
    "redirected": "no proxy stood in front; only webhooks were answered so",
    "not now": "a proxy's, or the cloud's",
    "proxy": "no proxy stood in front",
    "not dokploy": "another server's, or a proxy's",
}
"""Kinds of answers that a Dokploy alone does not give."""

FORMS: dict[str, Any] = {
    "project.all": list[models.Project],
    "overview.services": list[models.ListedService],
    "docker.getContainers": list[models.Running],
    "docker.getContainersByAppNameMatch": list[models.Running],
    "docker.getConfig": models.Inspected,
    "application.one": models.Settings,
    "compose.one": models.Settings,
    "deployment.all": list[models.DeploymentRecord],
    "deployment.allByCompose": list[models.DeploymentRecord],
    "deployment.queueList": list[models.Job],
    "deployment.readLogs": str,
    "settings.getDokployVersion": str,
    **{f"{kind}.{kind}Providers": form for kind, form in apps.PROVIDERS.items()},
    "health": models.Health,
}


def reason(name: str) -> str | None:
    return next((why for glob, why in NOT_REPLAYED.items() if fnmatchcase(name, glob)), None)


RECORDED = [*recording("recorded"), *recording("recorded-2")]
ROWS = {row["name"]: row for row in RECORDED if reason(row["name"]) is None}


def request_of(name: str) -> dict[str, Any]:
    row = ROWS[name]
    request: dict[str, Any] = (row if "request" in row else row["data"])["request"]
    return request


def reply_of(name: str) -> httpx.Response:
    """The recorded answer; raises what a client meets where there was none."""
    row = ROWS[name]
    if "data" in row:
        if row["data"]["error"].startswith("TimeoutError"):
            raise httpx.ReadTimeout("")
        raise httpx.ConnectError(row["data"]["error"])
    answer = row["response"]
    body = answer["text"] or ""
    if answer["bodyBytes"] and answer["json"] is not None:
        body = json.dumps(answer["json"], ensure_ascii=False, separators=(",", ":"))
    return httpx.Response(answer["status"], headers=answer["headers"], content=body.encode())


def expected_of(name: str) -> str:
    if ROWS[name].get("response", {}).get("status") == 200:
        return "yes"
    return next(class_ for glob, class_ in EXPECTED.items() if fnmatchcase(name, glob))


def witness(name: str) -> httpx.Response:
    lines = map(json.loads, WITNESS.read_text(encoding="utf-8").splitlines())
    answer = next(row["response"] for row in lines if row["name"].endswith(name))
    return httpx.Response(answer["status"], json=answer["json"])


class Replayed:
    """A client whose server gives one recorded answer to every request with a key."""

    def __init__(self, name: str, database: str) -> None:
        self.name = name
        self.database = database
        self.times = 0.0
        request = request_of(name)
        self.path = urlsplit(request["url"]).path.removeprefix("/api/")
        self.query = dict(parse_qsl(urlsplit(request["url"]).query))
        self.body = request["body"] if request["method"] == "POST" else None
        self.http = Http(
            "dokploy",
            "http://dokploy.test",
            SecretStr("key"),
            read_retries=0,
            transport=httpx.MockTransport(self._answer),
            clock=lambda: self.times,
            pause=self._pause,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == f"/api/{PATH}":
            return witness(self.database)
        assert request.url.path == f"/api/{self.path}"
        return reply_of(self.name)

    async def _pause(self, seconds: float) -> None:
        self.times += seconds

    async def ask(self) -> None:
        if request_of(self.name)["method"] == "POST":
            await self.http.change(self.path, self.body or {})
        elif self.path == "health":
            await self.http.probe(self.path, models.Health)
        else:
            await self.http.read(self.path, FORMS.get(self.path, object), self.query)

    async def told(self) -> BridgeError | None:
        """The error that it is told by; of a refused key, the one that stays."""
        for _ in range(2):
            try:
                await self.ask()
            except BridgeError as error:
                told = error
            else:
                return None
            self.times += 3600.0
        return told


def answering(class_: str) -> list[str]:
    return [name for name in ROWS if expected_of(name) == class_]


Told = Callable[..., Awaitable[BridgeError | None]]


@pytest.fixture
async def told() -> Any:
    clients: list[Replayed] = []

    async def tell(name: str, database: str = "database-well") -> BridgeError | None:
        clients.append(Replayed(name, database))
        return await clients[-1].told()

    yield tell
    for client in clients:
        await client.http.close()


MEANS: dict[str, type[BridgeError]] = {
    "no": Refused,
    "forbidden": Forbidden,
    "away": Unreachable,
    "key": KeyRefused,
    "key at once": KeyRefused,
    "no provider": Refused,
}
"""The error that each kind of answer raises while the database is healthy."""


def meaning_of(name: str) -> type[BridgeError] | None:
    """Return the error that a row should raise; None for no error."""
    reads = request_of(name)["method"] == "GET"
    if (kind := expected_of(name)) == "yes":
        empty = reads and ROWS[name]["response"]["bodyBytes"] == 0
        return NotDokploy if empty else None  # nothing, to a question: nobody can read that
    return MEANS.get(kind) or (Unreachable if reads else Unanswered)


async def test_every_answer_is_told_as_what_it_means(told: Told) -> None:
    wrong = {}
    for name in ROWS:
        error = await told(name)
        if (type(error) if error else None) is not meaning_of(name):
            wrong[name] = error

    assert wrong == {}


async def test_a_401_or_a_missing_provider_is_no_fault_of_ours_while_the_database_is_away(
    told: Told,
) -> None:
    for kind, away in (("key", DatabaseAway), ("no provider", Unanswered)):
        names = answering(kind)
        assert names
        errors = {name: type(await told(name, "database-away")) for name in names}
        assert errors == dict.fromkeys(names, away)


def test_every_kind_of_answer_has_a_recording_or_a_reason() -> None:
    names = [row["name"] for row in RECORDED]
    for glob in (*NOT_REPLAYED, *EXPECTED):
        assert any(fnmatchcase(name, glob) for name in names), glob
    met = set()
    for name, row in ROWS.items():
        if "response" in row:
            request, reply = request_of(name), reply_of(name)
            path = urlsplit(request["url"]).path.removeprefix("/api/")
            body = (request["body"] or {}) if request["method"] == "POST" else None
            call = Call("dokploy", path, body, "api-key", ())
            met.add(row_of(Answer(call, reply.status_code, reply.headers, reply.content)).name)

    assert {row.name for row in TABLE} == met | set(NO_RECORDING)
    assert not met & set(NO_RECORDING)
    assert {row.means for row in TABLE} == set(Means)


def test_the_witness_is_read_as_it_was_recorded() -> None:
    for name, word in (
        ("database-well", DatabaseState.WELL),
        ("database-away", DatabaseState.AWAY),
    ):
        answer = witness(name)
        assert state_in(answer.status_code, answer.content) is word
