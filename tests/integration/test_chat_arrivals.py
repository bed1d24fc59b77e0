"""What came in, as people ask by chat: nobody learns of what they may not see."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.chats.slack.views import message_of
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.apps import Source, SourceType
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Sorry
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import State
from bridge.githosts import HOSTS
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.deciding.interpret import Reading
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import AnyReply, Place
from bridge.ports.inbox import NewDelivery
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.view import View
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.cli import push

ADA, BOB = Person("U0ADA", "Ada"), Person("U0BOB", "Bob")
MONO = Source(SourceType.GITHUB, repository="my-org/mono", branch="main")
WEB = replace(app("app-web", name="web", project="shop"), source=MONO, watch_paths=("docs/**",))
VAULT = replace(app("app-vault", name="v", project="secret"), source=MONO, watch_paths=None)
GRANTS = (
    Grant(("U0ADA",), frozenset(Right)),
    Grant(("U0BOB",), frozenset({Right.VIEW}), ("shop/**",)),
)
SHA = "a" * 40
EMPTY = {"delivery": "both-id", "branch": " "}


class Asking:
    """People who ask about three deliveries: of both apps, of the secret one, and of none."""

    def __init__(self, journal: SqlJournal, inbox: SqliteInbox, clock: ManualClock) -> None:
        known = Known(lambda: [WEB, VAULT], dict, lambda _app, _here: (), lambda: None)
        parts = (inbox, journal, known, Access(GRANTS), BuildLogs({}, journal), clock)
        reading = Reading(inbox, {"github": HOSTS["github"].reader()})
        self.commands = ChatCommands("slack", *parts, hosts=["github"], reading=reading)

    async def say(self, typed: str | Call, person: Person = ADA) -> AnyReply:
        read = parse(typed) if isinstance(typed, str) else typed
        return await self.commands.answer(person, Place("C0"), read, "id-1")

    async def told(self, typed: str, person: Person = ADA) -> str:
        said = await self.say(typed, person)
        assert isinstance(said, View), said
        return json.dumps(message_of(said).blocks, ensure_ascii=False)


@pytest.fixture
async def asking(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> Any:
    clock.now = 1_700_000_000.0
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    await journal.save_apps("dokploy", [WEB, VAULT])
    headers = {"x-github-event": "push", "x-token": "s3cret"}
    body = json.dumps(push()).encode()
    for name in ("both", "vault", "none"):
        await inbox.keep(NewDelivery("github", f"{name}-id", "push", headers, body, clock.now))
    web = Decision(WEB.id, WEB.label, Reason.PATH_HIT, "a matches a")
    vault = Decision(VAULT.id, VAULT.label, Reason.NO_PATH_HIT, "1 file changed, none matches b")
    for seq, decisions in ((1, (web, vault)), (2, (vault,))):
        seen = PushSeen(f"github 1 refs/heads/{seq}", SHA, SHA, repository="o/mono", author="Eve")
        made = (deployment(1, WEB.id, app=WEB.label),) if seq == 1 else ()
        await journal.record([Outcome(seq, f"{seq}", decisions, made, push=seen)], window=600)
    await journal.move(f"{1:016d}.{WEB.id}", State.FAILED, "fatal: gone")
    yield Asking(journal, inbox, clock)
    await inbox.stop()


async def test_everybody_sees_the_deliveries_of_the_apps_that_they_may_view(asking: Asking) -> None:
    all_, some = await asking.told("deliveries"), await asking.told("deliveries limit 5", BOB)

    assert all(f"{name}-id" in all_ for name in ("both", "vault", "none"))
    assert "o/mono" in some
    assert "deploys shop/web (path_hit) → failed #1: fatal: gone" in some
    assert "skips secret/v (no_path_hit)" in all_
    assert not any(one in some for one in ("vault-id", "none-id", "secret/v"))
    assert "vault-id" not in await asking.told("deliveries web")


async def test_one_delivery_is_shown_without_what_they_may_not_see(asking: Asking) -> None:
    told = await asking.told("deliveries show both", BOB)

    assert "a matches a" in told
    assert not any(one in told for one in ("secret/v", "s3cret"))
    assert "secret/v" in await asking.told("deliveries show both-id")
    for name in ("vault", "none-id", "#2", "gone"):
        said = await asking.say(f"deliveries show {name}", BOB)
        assert isinstance(said, Sorry)
        assert "there is no delivery" in said.why


async def test_a_delivery_is_explained_for_the_apps_that_they_may_view(asking: Asking) -> None:
    all_, some = await asking.told("explain both"), await asking.told("explain both", BOB)
    tried = await asking.told("explain #1 web path web/** branch main", BOB)

    assert "1 file changed, none matches `docs/**`" in some
    assert "secret/v" in all_
    assert "secret/v" not in some
    assert "web/index.html matches web/**" in tried.replace("`", "")
    assert "assumed: shop/web deploys pushes to main" in tried
    assert isinstance(await asking.say("explain vault", BOB), Sorry)
    assert isinstance(await asking.say("explain /etc/passwd"), Sorry)
    assert "--branch is empty" in str(await asking.say(Call("explain", EMPTY)))


async def test_refused_webhooks_are_for_those_who_see_every_app(asking: Asking) -> None:
    refused = await asking.say("deliveries --refused", BOB)

    assert isinstance(refused, Sorry)
    assert isinstance(await asking.say("deliveries --refused since 2h"), View)
    assert isinstance(await asking.say("deliveries --refused --failed"), Sorry)
