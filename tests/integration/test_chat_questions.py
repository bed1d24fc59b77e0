"""What people ask by chat of deliveries, reasons, logs and previews, as far as they may see."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.chats.slack.views import message_of
from bridge.core.access import Grant, Person, Right
from bridge.core.apps import Source, SourceType
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import State
from bridge.core.previews.preview import Preview, as_preview
from bridge.core.refused import RefusedWebhooks
from bridge.operations.suspects import Suspects
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.ports.chats import AnyReply
from bridge.ports.inbox import NewDelivery
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.storage.journal import SqlJournal
from bridge.views.values import plain
from bridge.views.view import Item, Lines, Log, Table, View
from tests.fakes.journey import FakeBackend, ManualClock, app, deployment
from tests.worlds.chat_desk import ADA, BOB, Desk, desk_of, sorry, view
from tests.worlds.cli import push
from tests.worlds.journal import outcome, record
from tests.worlds.previewed import held, up

MONO = Source(SourceType.GITHUB, repository="my-org/mono", branch="main")
WEB = replace(app("app-web", name="web", project="shop"), source=MONO, watch_paths=("docs/**",))
VAULT = replace(app("app-vault", name="v", project="secret"), source=MONO, watch_paths=None)
PREVIEW = as_preview(
    app("app-12", name="web pr-12", environment="previews", marker="bridge:x#12:app-web"), WEB
)
GRANTS = (
    Grant(("U0ADA",), frozenset(Right)),
    Grant(("U0BOB",), frozenset({Right.VIEW}), ("shop/**",)),
)
SHA = "a" * 40
EMPTY = {"delivery": "both-id", "branch": " "}


@pytest.fixture
def backend(clock: ManualClock) -> FakeBackend:
    return FakeBackend(clock, waits=0.0, variables="GREETING=Tr0ub4dor+3")


@pytest.fixture
async def desk(
    journal: SqlJournal, clock: ManualClock, tmp_path: Path, backend: FakeBackend
) -> AsyncIterator[Desk]:
    others: dict[str, Any] = {
        "logs": BuildLogs({"dokploy": backend}, journal),
        "suspects": Suspects(journal, clock, ["github"], ["github"], {}),
    }
    apps = [WEB, VAULT, PREVIEW]
    async with desk_of(journal, clock, tmp_path, apps, GRANTS, reads=["github"], **others) as made:
        yield made


async def test_why_tells_what_became_of_it_and_why_it_failed(
    desk: Desk, journal: SqlJournal
) -> None:
    one = deployment(1, "app-web", app="shop/web")
    await record(journal, outcome(1, one))
    await journal.move(one.id, State.FAILED, "fatal: gone", log_tail="make\nfatal: gone")

    said = view(await desk.say("why web", BOB))

    (row,) = [row for part in said.parts if isinstance(part, Table) for row in part.rows]
    assert "→ failed #1: fatal: gone" in [plain(i.says) for i in row.says if isinstance(i, Item)]
    assert [log.lines for log in row.below] == [["make", "fatal: gone"]]

    clicked = view(await desk.say(Call("why", {"app": "app-web", "deployment": one.id}), BOB))
    assert clicked.parts[0].rows[0].says[1:] == row.says[1:]  # type: ignore[union-attr]


async def test_refused_webhooks_are_told_to_those_who_may_view_every_app(
    desk: Desk, journal: SqlJournal, clock: ManualClock
) -> None:
    one = RefusedWebhooks(
        clock.now, "github", "unauthorized", "/hooks/github", "10.0.0.0/24", "", "no signature",
        last=clock.now,
    )  # fmt: skip
    await journal.keep_refused([one])

    told = {person: await desk.say("why web", person) for person in (ADA, BOB)}

    seen = {who.id: one.parts for who, one in told.items() if isinstance(one, View)}
    assert isinstance(seen["U0ADA"][0], Lines)
    assert "1 webhook was refused" in plain(seen["U0ADA"][0].items[0].says)
    assert seen["U0BOB"] == []


async def test_a_log_is_masked_and_nobody_asks_for_it_raw_by_chat(
    desk: Desk, backend: FakeBackend, clock: ManualClock
) -> None:
    backend.log = "it says Tr0ub4dor+3\n"
    await backend.deploy(WEB, title="t", description="d")
    clock.now += 60

    said = view(await desk.say("logs web", BOB))
    raw = sorry(await desk.say(Call("logs", {"app": "web", "raw": True})))

    assert [part.lines for part in said.parts if isinstance(part, Log)] == [("it says ***",)]
    assert "on the command line only" in raw


async def test_the_log_of_an_app_that_one_may_not_see_is_not_named(
    desk: Desk, journal: SqlJournal
) -> None:
    hidden = deployment(2, "app-vault", app="secret/v")
    await record(journal, outcome(2, hidden))

    unseen = repr(await desk.say(f"logs web deployment {hidden.id}x", BOB))
    other = repr(await desk.say(Call("logs", {"app": "web", "deployment": "x"}), BOB))

    assert "secret" not in unseen + other


# ── what came in ─────────────────────────────────────────────────────────────


async def told(desk: Desk, typed: str, person: Person = ADA) -> str:
    said = await desk.say(typed, person)
    assert isinstance(said, View), said
    return json.dumps(message_of(said).blocks, ensure_ascii=False)


@pytest.fixture
async def three(desk: Desk) -> Desk:
    """Three deliveries: of both apps, of the secret one, and of none."""
    headers = {"x-github-event": "push", "x-token": "s3cret"}
    body = json.dumps(push()).encode()
    for name in ("both", "vault", "none"):
        new = NewDelivery("github", f"{name}-id", "push", headers, body, desk.clock.now)
        await desk.inbox.keep(new)
    web = Decision(WEB.id, WEB.label, Reason.PATH_HIT, "a matches a")
    vault = Decision(VAULT.id, VAULT.label, Reason.NO_PATH_HIT, "1 file changed, none matches b")
    for seq, decisions in ((1, (web, vault)), (2, (vault,))):
        seen = PushSeen(f"github 1 refs/heads/{seq}", SHA, SHA, repository="o/mono", author="Eve")
        made = (deployment(1, WEB.id, app=WEB.label),) if seq == 1 else ()
        await desk.journal.record([Outcome(seq, f"{seq}", decisions, made, push=seen)], window=600)
    await desk.journal.move(f"{1:016d}.{WEB.id}", State.FAILED, "fatal: gone")
    return desk


async def test_everybody_sees_the_deliveries_of_the_apps_that_they_may_view(three: Desk) -> None:
    all_, some = await told(three, "deliveries"), await told(three, "deliveries limit 5", BOB)

    assert all(f"{name}-id" in all_ for name in ("both", "vault", "none"))
    assert "o/mono" in some
    assert "deploys shop/web (path_hit) → failed #1: fatal: gone" in some
    assert "skips secret/v (no_path_hit)" in all_
    assert not any(one in some for one in ("vault-id", "none-id", "secret/v"))
    assert "vault-id" not in await told(three, "deliveries web")


async def test_one_delivery_is_shown_without_what_they_may_not_see(three: Desk) -> None:
    shown = await told(three, "deliveries show both", BOB)

    assert "a matches a" in shown
    assert not any(one in shown for one in ("secret/v", "s3cret"))
    assert "secret/v" in await told(three, "deliveries show both-id")
    for name in ("vault", "none-id", "#2", "gone"):
        said = sorry(await three.say(f"deliveries show {name}", BOB))
        assert "there is no delivery" in said


async def test_a_delivery_is_explained_for_the_apps_that_they_may_view(three: Desk) -> None:
    all_, some = await told(three, "explain both"), await told(three, "explain both", BOB)
    tried = await told(three, "explain #1 web path web/** branch main", BOB)

    assert "1 file changed, none matches `docs/**`" in some
    assert "secret/v" in all_
    assert "secret/v" not in some
    assert "web/index.html matches web/**" in tried.replace("`", "")
    assert "assumed: shop/web deploys pushes to main" in tried
    assert isinstance(await three.say("explain vault", BOB), Sorry)
    assert isinstance(await three.say("explain /etc/passwd"), Sorry)
    assert "--branch is empty" in str(await three.say(Call("explain", EMPTY)))


async def test_refused_webhooks_are_for_those_who_see_every_app(three: Desk) -> None:
    refused = await three.say("deliveries --refused", BOB)

    assert isinstance(refused, Sorry)
    assert isinstance(await three.say("deliveries --refused since 2h"), View)
    assert isinstance(await three.say("deliveries --refused --failed"), Sorry)


# ── previews ─────────────────────────────────────────────────────────────────


def click(act: str, preview: Preview) -> Call:
    return Call(f"previews {act}", {"preview": preview.id, "commit": preview.pull.head_sha})


async def test_grants_of_a_channel_count_only_there(desk: Desk, journal: SqlJournal) -> None:
    desk.grant(Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,), ("C1",)))
    one = await up(journal, WEB, 12)

    elsewhere = await desk.say("previews stop web#12", channel="C2")
    clicked = sorry(await desk.say(click("stop", one), channel="C2"))
    assert isinstance(elsewhere, Sorry)  # not even its name is told
    assert elsewhere.suggestions == ()
    assert "web#12" not in clicked
    listed = view(await desk.say("previews", channel="C2"))
    assert listed.data == []

    view(await desk.say("previews stop web#12", channel="C1"))
    now = await journal.preview(one.id)
    assert now is not None
    assert now.stopped
    again = view(await desk.say(click("stop", one), channel="C1"))
    assert "was stopped before" in plain(again.head)


@pytest.mark.parametrize(
    ("right", "offers"),
    [
        (Right.VIEW, []),
        (Right.DEPLOY, ["preview.stop", "preview.extend"]),
        (Right.APPROVE, ["preview.approve"]),
    ],
)
async def test_what_somebody_may_do_to_previews_is_offered_and_all_else_refused(
    desk: Desk, journal: SqlJournal, right: Right, offers: list[str]
) -> None:
    desk.grant(Grant(("U0ADA",), frozenset({right}), (WEB.label,)))
    one = await held(journal, WEB, 12)

    assert buttons(await desk.say("previews", channel="C1")) == offers
    for act in ("approve", "stop", "extend"):
        if f"preview.{act}" not in offers:
            reply = await desk.say(click(act, one), channel="C1")
            assert isinstance(reply, Denied)
            assert reply.right == (Right.APPROVE if act == "approve" else Right.DEPLOY)
    now = await journal.preview(one.id)
    assert now is not None
    assert (now.stopped, now.approved, now.look_at) == (False, None, None)


async def test_a_name_is_suggested_where_none_fits_and_apps_are_found_by_a_part_of_it(
    desk: Desk, journal: SqlJournal
) -> None:
    desk.grant(Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,)))
    await up(journal, WEB, 12)

    wrong = await desk.say("previews stop api#12", channel="C1")
    assert isinstance(wrong, Sorry)
    assert wrong.suggestions == ("previews stop shop/web#12",)
    for part, found in (("shop", 1), ("eb", 1), ("web", 1)):
        listed = view(await desk.say(f"previews {part}", channel="C1"))
        assert len(listed.data) == found
    none = sorry(await desk.say("previews nothing", channel="C1"))
    assert "no app 'nothing'" in none


def buttons(reply: AnyReply) -> list[str]:
    assert isinstance(reply, View)
    blocks = [one for one in message_of(reply).blocks if one["type"] == "actions"]
    return [one["action_id"] for block in blocks for one in block["elements"]]


async def test_what_is_deployed_for_previews_is_told(desk: Desk, journal: SqlJournal) -> None:
    desk.grant(Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,)))
    one = deployment(1, PREVIEW.id, app=PREVIEW.label, state=State.RUNNING)
    await record(journal, outcome(1, one))

    standing = view(await desk.say("status", channel="C1"))
    assert standing.data["at_rest"] == 1
    assert [one["app"] for one in standing.data["under_way"]] == ["shop/previews/web pr-12"]
    of_one = view(await desk.say("status shop/previews/", channel="C1"))
    assert of_one.about is not None
    assert of_one.about.app == PREVIEW
