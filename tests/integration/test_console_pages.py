"""What the console's pages show, to whom, and that nothing in them is taken for markup."""

import asyncio
import html
import importlib
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.console.pages import PAGES
from bridge.console.pages.deliveries import shown_payload
from bridge.console.pages.figures import A_PAGE
from bridge.console.records import Asked, Records
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK, Visitor
from bridge.core.access import Grant, Person, Right
from bridge.core.apps import Rules
from bridge.core.errors import BridgeError, NotFound
from bridge.core.gates.approvals import Approval
from bridge.core.gates.freezes import Freeze, Window, read_at
from bridge.core.gates.locks import Lock
from bridge.core.holds import Gate, Hold, Lift, Proposal
from bridge.core.lifecycle import State, deployment_id
from bridge.core.people import Actor
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.preview import as_preview
from bridge.core.refs import Pages
from bridge.core.refused import RefusedWebhooks
from bridge.core.words import many
from bridge.operations.arrivals import shown_headers
from bridge.ports.gates import Judging
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.ports.outcomes import (
    DONE,
    LINK,
    Audited,
    Subscription,
    about_delivery,
    about_deployment,
)
from bridge.storage.journal.deployment_rows import holds_text
from bridge.views.links import Links
from tests.fakes.journey import HEAD, app, deployment
from tests.worlds.console_records import (
    FRAME,
    NOW,
    Body,
    hostile_app,
    person,
    records_of,
    tell,
)
from tests.worlds.journal import A, B, outcome, record
from tests.worlds.previewed import held, native, skipped, up

WEB = app("app-web")

NASTY = [
    "<script>alert(1)</script>", "<img src=x onerror=y>", '"><b>', "'><b>", "</title>", "</pre>",
    "<!--", "-->", "]]>", "&lt;b&gt;", "{{ 7*7 }}", "{% raw %}", "javascript:alert(1)", "\x00",
    "\x1b[31m", "\u202e", "\u2028", "' onclick=x ", '" autofocus onfocus=x ', "\n",
    "\r\n",
]  # fmt: skip
hostile = st.lists(st.sampled_from(NASTY) | st.text(max_size=5), min_size=1, max_size=4).map(
    "".join
)


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes, and where its links lead."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Any] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.links += [str(value) for name, value in attrs if name in ("href", "src", "action")]

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")


async def pages_of(records: Records, visitor: Visitor, query: str = "") -> dict[str, str]:
    """Every page as it is drawn; of a refusal, its words."""
    found = {}
    for path, view in PAGES.items():
        for seq in (1, 3):
            of = deployment_id(seq, "app-web") if "deployments" in path else "app-web"
            asked = Asked({"id": of, "seq": str(seq), "name": "lock"}, {"q": query, "paths": query})
            try:
                page = await view(records, visitor, asked)
                while page.facts.get("worked", "at once") is None:  # the machine is busy
                    page = await view(records, visitor, asked)
            except BridgeError as error:
                found[f"{path} {seq}"] = f"refused: {error}"
                continue
            found[f"{path} {seq}"] = draw(page, FRAME | {"visitor": visitor}, NOW)
    return found


async def told(words: str) -> dict[str, str]:
    async with records_of([hostile_app(words, words or "x")]) as records:
        await tell(records, words, records.apps()[0].label)
        return await pages_of(records, BY_LINK, words)


@cache
def calm_pages() -> dict[str, str]:
    return asyncio.run(told("calm"))


def skeleton(text: str) -> Skeleton:
    read = Skeleton()
    read.feed(text)
    read.close()
    return read


@settings(max_examples=4)
@given(hostile)
@example("<script>alert(1)</script>")
@example('"><b>')
def test_whatever_is_said_the_markup_around_it_stays_the_same(words: str) -> None:
    calm, hostile_ = calm_pages(), asyncio.run(told(f"x{words}"))
    known = {one for text in calm.values() for one in skeleton(text).found} | {("p", ("class",))}

    for path, text in hostile_.items():
        now = skeleton(text)
        assert set(now.found) <= known, path
        for link in now.links:
            assert link.startswith(("/console", "?", "#", "https://")), (path, link)
        if not any(changing in path for changing in VARYING):
            assert now.found == skeleton(calm[path]).found, path


VARYING = ("/console/search", "/today", "/console/apps/{id}")
"""What is found, and what watch paths are warned of, depends on the words."""


# ── who sees what ────────────────────────────────────────────────────────────────────────────────


SHOP, SECRET = "shop/web", "bank/vault"


async def seen_by(
    rights: frozenset[Right], words: str, label: str, of: str = "*"
) -> dict[str, str]:
    """The pages about one app, for somebody with these rights to apps."""
    grants = [Grant(("github:ada",), rights, (of,))]
    async with records_of([hostile_app(words, label)], grants=grants) as records:
        await tell(records, words, label)
        return await pages_of(records, person(), words)


async def test_nobody_sees_anything_of_an_app_without_the_right() -> None:
    bank = await seen_by(frozenset({Right.VIEW}), "hush", SECRET, "shop/*")

    for path, text in bank.items():
        for echo in ('value="hush"', ">hush</textarea>", "Search: hush", "“hush”"):
            text = text.replace(echo, "")  # noqa: PLW2901 - what they have typed themselves
        assert "hush" not in text, path
        assert SECRET not in text, path
    assert bank["/console/apps/{id} 1"].startswith("refused")
    assert bank["/console/deployments/{id} 1"].startswith("refused")
    assert bank["/console/deliveries/{seq} 1"].startswith("refused")


async def test_payloads_and_refused_webhooks_are_for_those_who_see_every_app() -> None:
    few = await seen_by(frozenset({Right.VIEW}), "calm", SHOP, "shop/*")
    all_ = await seen_by(frozenset({Right.VIEW}), "calm", SHOP)

    assert SHOP in few["/console 1"]
    assert few["/console/refused 1"].startswith("refused")
    assert not all_["/console/refused 1"].startswith("refused")
    assert "Payload" not in few["/console/deliveries/{seq} 3"]
    assert "Payload" in all_["/console/deliveries/{seq} 3"]


async def test_buttons_are_shown_by_right() -> None:
    buttons = [
        (Right.DEPLOY, "Redeploy"),
        (Right.DEPLOY, "Roll back"),
        (Right.LOCK, "Unlock"),
        (Right.CANCEL, "Cancel"),
    ]
    shown = await seen_by(frozenset(Right), "calm", SHOP)
    for right in (Right.DEPLOY, Right.LOCK, Right.CANCEL):
        hidden = await seen_by(frozenset(Right) - {right}, "calm", SHOP)
        for button in [button for of, button in buttons if of is right]:
            assert any(button in text for text in shown.values())
            assert not any(f">{button}" in text for text in hidden.values())


async def test_gates_are_on_one_page_and_lifted_by_who_may() -> None:
    window = Window(read_at("00:00"), read_at("24:00"), ZoneInfo("UTC"), (5, 6))
    rule = Freeze("freezes[0]", ("shop/*",), "no releases at weekends", (window,))
    shop = hostile_app("calm", SHOP)
    grants = [Grant(("github:ada",), frozenset({Right.VIEW, Right.OVERRIDE}), ("shop/*",))]
    async with records_of([shop], grants=grants, freezes=[rule]) as records:
        await tell(records, "calm", SHOP)
        await record(records.journal, outcome(9, deployment(9, shop.id, app=SHOP)))
        await records.journal.judge(deployment_id(9, shop.id), Judging(shop))
        view = PAGES["/console/gates"]
        owner = draw(await view(records, BY_LINK, Asked({}, {})), FRAME, NOW)
        ada = draw(await view(records, person(), Asked({}, {})), FRAME, NOW)

    for text in (owner, ada):
        assert "no releases at weekends (`freezes` of bridge.yaml)" in text
        assert "Deploy anyway…" in text
        assert text.count("<rect") >= 3
    assert ">Unlock<" in owner
    assert "Schedule…" in owner
    for mine in (">Unlock<", "Lock…", "Schedule…"):
        assert mine not in ada


def needs_in(page: str, section: str = "needs") -> list[str]:
    """The rows of a section of the first page."""
    rows = page.partition(f'<section class="needs" aria-labelledby="{section}"')[2]
    return rows.partition("</section>")[0].split('<li class="row">')[1:]


async def first_page(records: Records, visitor: Visitor = BY_LINK) -> str:
    return draw(await PAGES["/console"](records, visitor, Asked({}, {})), FRAME, NOW)


async def test_what_waits_is_a_row_with_its_act_for_those_who_may() -> None:
    grants = [
        Grant(("github:ada",), frozenset(Right), ("shop/*",)),
        Grant(("github:eve",), frozenset({Right.VIEW}), ("shop/*",)),
    ]
    async with records_of([WEB], grants=grants) as records:
        journal: Any = records.journal
        proposal = Proposal(B, "Charge once", "Grace", live=A, since=1.0, changed=2)
        waits = Hold(Gate.APPROVAL, "k", "Needs 1 approval", Right.APPROVE, proposal=proposal)
        await record(journal, outcome(1, deployment(1), explicit=True))
        await journal.move(deployment(1).id, State.FAILED, "the build ended with 1")
        await record(journal, outcome(2, deployment(2), explicit=True))
        await journal.move(deployment(2).id, State.HELD, "", holds=holds_text((waits,)))
        lock = Lock(f"app/{WEB.id}", WEB.label, "cli:x", "Bo", "back", NOW, of_rollback=True)
        await journal.take_lock(lock, [WEB.id], steal=False)

        mine = needs_in(await first_page(records, person()))
        assert [re.findall(r"<button[^>]*>(.*?)<", row) for row in mine] == [
            [f"Approve {B[:7]}"], ["Redeploy"], ["Unlock"],
        ]  # fmt: skip
        assert f"2 files since {A[:7]}" in mine[0]
        theirs = await first_page(records, person("github:eve"))
        assert needs_in(theirs) == []
        assert [row.count("<button") for row in needs_in(theirs, "others")] == [0, 0]
        assert "Needs 1 approval" in theirs
        assert "Cancel…" not in theirs

        await record(journal, outcome(3, deployment(3), explicit=True))
        await journal.move(deployment(3).id, State.DONE, "", live_at=NOW)
        assert not any("the build ended" in row for row in needs_in(await first_page(records)))


async def test_what_somebody_may_mend_is_not_among_those_left_out() -> None:
    apps = [app(f"app-{number}", project="shop", name=str(number)) for number in range(8)]
    grants = [
        Grant(("github:ada",), frozenset({Right.VIEW}), ("shop/*",)),
        Grant(("github:ada",), frozenset(Right), ("shop/0",)),
    ]
    async with records_of(apps, grants=grants) as records:
        journal: Any = records.journal
        for seq, one in enumerate(apps, start=1):
            new = replace(deployment(seq, one.id), app=one.label)
            await record(journal, outcome(seq, new, explicit=True))
            await journal.move(new.id, State.FAILED, "the build ended with 1")

        (mine,) = needs_in(await first_page(records, person()))
        rest = needs_in(await first_page(records, person()), "others")

    assert "shop/0" in mine
    assert "Redeploy" in mine
    assert len(rest) == 5
    assert "3 more failed" in rest[-1]


async def test_refused_webhooks_are_grouped_by_their_cause() -> None:
    async with records_of([WEB]) as records:
        why = [("unauthorized", "the signature fits no secret", 30), ("bad", "no JSON", 1)]
        await records.journal.keep_refused(
            [
                RefusedWebhooks(NOW, "github", reason, "/hooks/github", "n", "", says, n, NOW, says)
                for reason, says, n in why
            ]
        )
        rows = needs_in(await first_page(records))
        for _, says, count in why:
            (row,) = [row for row in rows if says in row]
            assert f"{many(count, 'webhook')} in the last 24 hours: {says}" in row


def older_of(text: str) -> dict[str, str]:
    """The query of a page's link to older entries; none on the last page."""
    (found,) = re.findall(r'<a href="\?([^"]*)">Older</a>', text) or [""]
    return dict(parse_qsl(html.unescape(found)))


async def pages_from(records: Records, visitor: Visitor, path: str) -> list[str]:
    """A list's pages as they are drawn, from the newest to the oldest."""
    found, query = list[str](), dict[str, str]()
    while True:
        page = await PAGES[path](records, visitor, Asked({}, query))
        found.append(draw(page, FRAME, NOW))
        if not (query := older_of(found[-1])):
            return found


async def test_the_audit_log_goes_on_to_its_first_entry() -> None:
    grants = [Grant(("github:ada",), frozenset({Right.VIEW}), ("shop/*",))]
    apps = [hostile_app("calm", SHOP), hostile_app("hush", SECRET)]
    async with records_of(apps, grants=grants) as records:
        for number in range(2 * A_PAGE + 1):
            label = SHOP if number in (0, 2 * A_PAGE) else SECRET
            note = Audited(
                NOW, Actor(name=f"person-{number}"), "deploy", "app-web", label, (), DONE
            )
            await records.journal.audit(note)

        all_ = await pages_from(records, BY_LINK, "/console/audit")
        few = await pages_from(records, person(), "/console/audit")

    listed = [re.findall(r">(person-\d+)<", text) for text in all_]
    assert [len(one) for one in listed] == [A_PAGE, A_PAGE, 1]
    assert [one for of_page in listed for one in of_page] == [
        f"person-{number}" for number in reversed(range(2 * A_PAGE + 1))
    ]
    assert ["Newest" in text for text in all_] == [False, True, True]
    assert [re.findall(r">(person-\d+)<", text) for text in few] == [
        [f"person-{2 * A_PAGE}"],
        [],
        ["person-0"],
    ]


async def test_no_deployment_of_a_push_to_many_apps_is_left_out() -> None:
    labels = [f"shop/app-{number:02d}" for number in range(60)]
    async with records_of([hostile_app("calm", SHOP)]) as records:
        for seq in (1, 2):
            those = [deployment(seq, f"app-{one[-2:]}", app=one) for one in reversed(labels)]
            await record(records.journal, outcome(seq, *those, explicit=True))

        pages = await pages_from(records, BY_LINK, "/console/deployments")

    listed = [one for text in pages for one in re.findall(r"shop/app-\d\d", text)]
    assert listed == labels + labels


async def test_older_deployments_are_found_by_somebody_who_may_see_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages = importlib.import_module("bridge.console.pages.deployments")  # and not its function
    monkeypatch.setattr(pages, "MOST_READ", 20)
    grants = [Grant(("github:ada",), frozenset({Right.VIEW}), ("shop/*",))]
    async with records_of([hostile_app("calm", SHOP)], grants=grants) as records:
        for seq in range(1, 22):
            one = deployment(seq, app=SHOP if seq == 1 else SECRET)
            await record(records.journal, outcome(seq, one, explicit=True))

        newest, oldest = await pages_from(records, person(), "/console/deployments")

    assert SHOP not in newest
    assert SHOP in oldest


async def test_everyone_means_members_of_a_chat_alone() -> None:
    grants = [Grant(("everyone",), frozenset(Right))]
    async with records_of([hostile_app("calm", SHOP)], grants=grants) as records:
        assert records.seen(person()) == []
        member = Visitor(Person("U012AB3CD", "Ada"), "slack")
        assert len(records.seen(member)) == 1


async def test_a_gone_delivery_and_one_that_may_not_be_seen_are_told_alike() -> None:
    async with records_of([hostile_app("calm", SECRET)]) as records:
        await tell(records, "calm", SECRET)
        view = PAGES["/console/deliveries/{seq}"]
        words = []
        for seq in ("3", "99"):
            with pytest.raises(NotFound) as error:
                await view(records, person(), Asked({"seq": seq}, {}))
            words.append(str(error.value).replace(seq, "N"))
        assert words[0] == words[1]


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────


def test_a_payload_is_shown_without_secrets_and_addresses() -> None:
    body = (
        b'{"pusher": {"email": "ada@example.com", "name": "Ada"}, "hook": {"config": {"secret":'
        b' "x1y2"}}, "token": "ghp_0123456789abcdefghijABCDEFGHIJ012345", "n": [1, null, true],'
        b' "url": "https://user:pass@example.com/x", "ada@example.com": 1,'
        b' "tokens": ["l1st"], "credentials": {"value": "n3sted", "pin": 4711}, "private": false}'
    )
    one = Delivery(1, "github", "d", "push", {}, NOW, DeliveryState.DECIDED, stored=Body(body))

    text = shown_payload(one).text

    for secret in ("ada@example.com", "x1y2", "ghp_0123", "user:pass", "l1st", "n3sted", "4711"):
        assert secret not in text
    assert '"private": false' in text
    assert '"name": "Ada"' in text
    shown = shown_headers({"x-hub-signature-256": "sha256=ab", "x-github-event": "push"})
    assert shown == {"x-hub-signature-256": "[hidden]", "x-github-event": "push"}


@pytest.mark.parametrize(
    ("body", "ends", "why"),
    [
        (b"", "", "not JSON"),
        (b"[" * 50, "", "not JSON"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "", "nested too deeply"),
        (b'{"a": ' + b"1" * 300_000 + b"}", "", "more than 200000 bytes"),
        (b'{"a": "' + b"x" * 100_000 + b'"}', "…", "first 60000 characters"),
        (None, "", "not kept any more"),
    ],
)
def test_a_payload_that_is_not_shown_whole_says_why(
    body: bytes | None, ends: str, why: str
) -> None:
    stored = None if body is None else Body(body)
    one = Delivery(1, "github", "d", "push", {}, NOW, DeliveryState.DECIDED, stored=stored)

    found = shown_payload(one)

    assert (found.text[-1:], why in found.why_not) == (ends, True)


# ── previews ─────────────────────────────────────────────────────────────────────────────────────


async def previews_of(records: Records, visitor: Visitor, **query: str) -> str:
    page = await PAGES["/console/previews"](records, visitor, Asked({}, query))
    return draw(page, FRAME | {"visitor": visitor}, NOW)


async def test_previews_are_listed_with_what_keeps_them_and_where_they_are() -> None:
    async with records_of([WEB]) as records:
        there = await up(records.journal, WEB, 12)
        await records.journal.renew_apps([replace(WEB, id=there.made or "", name="web pr-12")])
        built = deployment(1, "app-web-pr-12", app="shop/previews/web pr-12")
        await record(records.journal, outcome(1, built, explicit=True))
        await records.journal.move(built.id, State.DONE, "")
        await held(records.journal, WEB, 13)
        await skipped(records.journal, WEB, 14)

        listed = await previews_of(records, BY_LINK)
        every = await previews_of(records, BY_LINK, all="1")
        other = await previews_of(records, BY_LINK, app="blog")
        now = draw(await PAGES["/console"](records, BY_LINK, Asked({}, {})), FRAME, NOW)

    assert 'href="https://pr-12-web.preview.example.com"' in listed
    assert f"/console/deployments/{built.id}#log" in listed
    assert "waiting for approval of abababababab" in listed
    assert "#14" not in listed
    assert "the pull request is a draft" in every
    assert "There is no preview that you may see." in other
    assert "shop/web #13: fork: waiting for approval" in now
    assert "shop/web #12" not in now


async def test_previews_of_dokploys_own_are_marked_and_only_shown() -> None:
    rules = Rules(previews=PreviewPolicy())
    for known, twice in (
        (WEB, False),
        (replace(WEB, native_previews="Dokploy", rules=rules), True),
    ):
        async with records_of([known]) as records:
            await records.journal.save_native_previews(WEB.id, [native(WEB, 12)])
            text = await previews_of(records, BY_LINK)

        assert "Dokploy&#39;s own" in text
        assert 'href="http://preview-web-12.sslip.io"' in text
        assert "?tab=preview-deployments" in text
        assert "/console/do/previews" not in text
        assert ("so each has two" in text) is twice


async def test_a_deployment_of_a_preview_is_seen_by_those_who_see_its_app() -> None:
    grants = [Grant(("github:ada",), frozenset({Right.VIEW}), ("shop/web",))]
    preview = app("app-12", name="web pr-12", environment="previews", marker="bridge:x#12:app-web")
    for known in ([WEB, as_preview(preview, WEB)], [WEB]):  # there, and after its end
        async with records_of(known, grants=grants) as records:
            await records.journal.save_apps("dokploy", [WEB, preview])
            one = deployment(1, preview.id, app=preview.label)
            await record(records.journal, outcome(1, one))

            found, _ = await records.deployment(person(), one.id)
            assert found.id == one.id
            with pytest.raises(NotFound):
                await records.deployment(person("github:eve"), one.id)


async def test_the_image_of_a_deployment_is_shown_where_no_commit_is() -> None:
    async with records_of([WEB]) as records:
        of_image = deployment(1, commit=None, image="ghcr.io/acme/web:2.4.0")
        await record(records.journal, outcome(1, of_image, explicit=True))
        for path in ("/console/deployments", "/console/deployments/{id}"):
            page = await PAGES[path](records, BY_LINK, Asked({"id": of_image.id}, {}))
            shown = draw(page, FRAME, NOW)
            assert "<code>ghcr.io/acme/web:2.4.0</code>" in shown
            assert "not known" not in shown


async def test_a_deployment_tells_who_let_it_pass_what_was_seen_and_where_it_is_shown() -> None:
    github = {"github": ("https://github.com", Pages())}
    of = {"repository": "my-org/mono", "commit": HEAD, "context": "dokploy/shop/web"}
    lift = Lift(("lock:app",), "Ada", "slack:U2", "the <sale>", NOW + 2)
    said: dict[str, Any] = {
        "message": "feat: open\n\nmore",
        "author": "Ada",
        "held_at": NOW,
        "lifts": (lift,),
    }
    made = deployment(1, **said)
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        ("slack.card", about_deployment(made.id), {"channel": "C1"}),
        ("github.comment", about_delivery(1), {"number": 482}),
        ("github.status", about_deployment(made.id), of),
        ("github.deployment", about_deployment(made.id), {"environment": "shop/web"}),
    ]
    places = [Subscription(f"{one} 1", one, "lane", (key,), at) for one, key, at in wanted]
    async with records_of([WEB]) as records:
        journal = records.journal
        await record(journal, outcome(1, made, explicit=True, subscriptions=tuple(places)))
        await journal.save_cursor("slack.card 1", {LINK: "https://acme.slack.com/archives/C1/p1"})
        await journal.mark_failed("github.status 1", 1, "refused", due_at=None)
        await journal.move(made.id, State.HELD, "held: locked by Grace")
        await journal.approve(Approval(WEB.id, HEAD, "slack:U1", "Grace", "", NOW + 1))
        await journal.move(made.id, State.WAITING, "")
        answer = "GET https://shop.example.com/: 200 OK, 3 times in a row"
        await journal.move(made.id, State.DONE, "", answer=answer)
        known = replace(records, links=Links(github))
        shown = await PAGES["/console/deployments/{id}"](known, BY_LINK, Asked({"id": made.id}, {}))

    text = draw(shown, FRAME, NOW)
    steps = re.findall(r'<li class="is-\w+">([^<]*)<span class="dim">([^<]*)<br>', text)
    assert [" ".join(step).split() for step in steps if step[0] != "waiting "] == [
        ["held", "locked", "by", "Grace"],
        ["done"],
        ["approved", "by", "Grace"],
        ["let", "pass", "by", "Ada:", "the", "&lt;sale&gt;"],
    ]
    assert f"<code>{HEAD[:7]}</code> feat: open <span" in text
    assert answer in text
    page = "https://github.com/my-org/mono"
    assert re.findall(r'<dt>(\w+)</dt><dd><a href="([^"]*)"[^>]*>([^<]*)', text)[:4] == [
        ("Comment", f"{page}/pull/482", "#482"),
        ("Environment", f"{page}/deployments/shop%2Fweb", "shop/web"),
        ("Status", f"{page}/commit/{HEAD}", "dokploy/shop/web"),
        ("Card", "https://acme.slack.com/archives/C1/p1", "Slack"),
    ]
    assert 'dokploy/shop/web</a> <span class="dim">fails, and is tried again' in text


@pytest.mark.parametrize(("seq", "heading"), [(4, '<h2 id="log">'), (5, '<h2 id="seen">')])
async def test_why_a_build_failed_stands_in_its_log_and_what_an_unhealthy_app_answered_does_not(
    seq: int, heading: str
) -> None:
    async with records_of([WEB]) as records:
        await tell(records, "no database", WEB.label)
        asked = Asked({"id": deployment_id(seq, WEB.id)}, {})

        shown = draw(await PAGES["/console/deployments/{id}"](records, BY_LINK, asked), FRAME, NOW)

        head, line = (
            r"(<h2 id=\"\w+\">)[^<]*</h2><div[^>]*>\s*<pre[^>]*>",
            r"(?:<span [^>]*>)?no data",
        )
        (before,) = re.findall(head + line, shown)
        assert before == heading
        assert ('<span class="line failing">no database' in shown) is (seq == 4)
