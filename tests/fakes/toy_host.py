"""A Git host that only tests know, in one record: Toybox, with a wire of its own.

Its webhooks name the event in `X-Toybox-Event` and are signed in `X-Toybox-Seal`, its bodies are
of no other host's shape, and its API has three addresses.
"""

import base64
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from multidict import CIMultiDict
from pydantic import Field

from bridge.core.errors import BadSignature, Unreachable
from bridge.core.events import Commit, Event, Ignored, Ref, RefKind, RefPushed, Repository
from bridge.core.pulls import PullRequest
from bridge.core.refs import normalise_url
from bridge.ports.githosts import Body, ChangeSet, Comment, CommitState, Envelope
from bridge.ports.providers import Provider, WebhookSecrets
from bridge.ports.settings import Address, Credential, Secrets, Section, Uses


class ToySettings(Section):
    """A Toybox."""

    seals: Secrets = Field((), description="what its webhooks are sealed with")
    address: Address = Field("http://127.0.0.1:1", description="where it is")
    web_url: Address | None = None
    token: Credential | None = Field(None, description="lets the bridge write there")
    feedback: Uses = ("comment", "status")
    skipped_status: bool = False
    ssh_host: str | None = None
    ca: str | None = None


def seal_of(secret: str, body: Body) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha512")).decode()


class ToyWebhooks:
    """Webhooks of a Toybox."""

    name = "toybox"

    def __init__(self, seals: list[str]) -> None:
        self._seals = seals

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        if "X-Toybox-Seal" not in headers:
            raise BadSignature("X-Toybox-Seal is missing")
        return self.fetched(headers)

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        given = CIMultiDict(headers)
        proof = (given.get("X-Toybox-Seal", ""),)
        return Envelope(given["X-Toybox-Parcel"], given["X-Toybox-Event"], proof, {})

    def verify(self, envelope: Envelope, body: Body) -> None:
        if envelope.proof[0] not in [seal_of(one, body) for one in self._seals]:
            raise BadSignature("X-Toybox-Seal does not fit the body")

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        if event != "moved":
            return Ignored(f"event {event} is not used")
        told = json.loads(body)
        box, commit = told["toybox"], told["to"]
        repository = Repository(
            "toybox",
            str(box["shelf"]),
            box["label"],
            frozenset({normalise_url(box["clone"])}),
            box["page"],
        )
        return RefPushed(
            repository,
            Ref(RefKind.BRANCH, told["branch"]),
            told["from"],
            commit,
            commit=Commit(commit, told["says"], told["by"]),
            paths=tuple(told["touched"]),
            pusher=told["by"],
        )


class ToyApi:
    """The API of a Toybox, as far as the bridge needs it."""

    name = "toybox"

    def __init__(self, address: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=address, headers={"Toybox-Token": token}, trust_env=False
        )

    def key(self, repository: Repository) -> str:
        return f"shelf-{repository.id}"

    async def _tell(self, method: str, path: str, **told: Any) -> Any:
        try:
            answer = await self._http.request(method, path, json=told)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unreachable(self.name, type(error).__name__) from error
        return answer.json()

    async def repository(self, name: str) -> Repository:
        raise NotImplementedError(name)

    async def commit(self, repository: str, sha: str) -> Commit:
        return Commit(sha)

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        found = await self._tell("GET", f"/{repository}/swaps/{commit}")
        return [PullRequest(one["number"], one["branch"], commit, open=True) for one in found]

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        for one in await self._tell("GET", f"/{repository}/notes/{number}"):
            yield Comment(str(one["id"]), one["body"], ours=True)

    async def comment(self, repository: str, number: int, body: str) -> str:
        made = await self._tell("POST", f"/{repository}/notes/{number}", body=body)
        return str(made["id"])

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        await self._tell("PUT", f"/{repository}/notes/{number}", id=int(id_), body=body)

    async def set_status(
        self,
        repository: str,
        commit: str,
        context: str,
        state: CommitState,
        description: str,
        url: str | None = None,
    ) -> None:
        said = {"context": context, "state": state, "says": description, "url": url}
        await self._tell("POST", f"/{repository}/lamps/{commit}", **said)

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        return ChangeSet(None, "a Toybox compares nothing")

    async def close(self) -> None:
        await self._http.aclose()


def _api(_name: str, settings: ToySettings) -> ToyApi | None:
    token = settings.token
    return None if token is None else ToyApi(settings.address, token.get_secret_value())


TOY = Provider(
    key="toybox",
    title="Toybox",
    event_header="X-Toybox-Event",
    settings=lambda: ToySettings,
    secrets=(WebhookSecrets("seals"),),
    webhooks=lambda given: ToyWebhooks([one.get_secret_value() for one in given.seals]),
    reader=lambda: ToyWebhooks([]),
    verifier=lambda secret, _signs: ToyWebhooks([secret]),
    events=frozenset({"moved"}),
    likeness=lambda body: 2 * ("toybox" in body),
    event_of=lambda body: "moved" if "to" in body else None,
    api=_api,
    web_url=lambda given: given.web_url or given.address,
    homes=lambda given: (given.address,),
)
