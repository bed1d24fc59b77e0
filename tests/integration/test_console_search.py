"""What the console's search finds, and what its figures say."""

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from bridge.console.pages import PAGES
from bridge.console.records import Asked, Records
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK, Visitor
from bridge.core.access import Grant, Right
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import State
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.ports.outcomes import PushSeen
from bridge.storage.journal.deployment_rows import holds_text
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.console_records import FRAME, NOW, person, records_of
from tests.worlds.journal import A, outcome, record
from tests.worlds.previewed import up

WEB = app("app-web")


# ── search ───────────────────────────────────────────────────────────────────────────────────────


async def searched(records: Records, query: Mapping[str, str], visitor: Visitor = BY_LINK) -> str:
    page = await PAGES["/console/search"](records, visitor, Asked({}, query))
    return draw(page, FRAME | {"visitor": visitor}, NOW)


async def test_words_of_messages_authors_and_refs_commits_and_numbers_are_found() -> None:
    grants = [Grant(("github:ada",), frozenset({Right.VIEW}), ("shop/web",))]
    async with records_of([WEB, app("app-api", name="api")], grants=grants) as records:
        said = [
            {"message": "feat: Überweisung by card (#482)", "author": "Ada Lovelace"},
            {"message": "fix: 100%_done", "author": "Grace", "ref": "refs/heads/fix/late-fee"},
            {"message": "feat: überall", "author": "Ada Lovelace"},
        ]
        for seq, one in enumerate(said, 1):
            commit = f"{seq:08x}".rjust(40, "c")
            new = deployment(seq, "app-api" if seq == 3 else "app-web", commit=commit, **one)
            push = PushSeen(f"github 1 {new.ref}", A, commit, author=one["author"])
            push = replace(push, repository="acme/shop")
            await record(records.journal, outcome(seq, new, push=push))
            records.inbox.deliveries.append(  # type: ignore[attr-defined]  # of this world
                Delivery(seq, "github", f"d-{seq}", "push", {}, NOW, DeliveryState.DECIDED)
            )
        await up(records.journal, WEB, 482, title="Pay by card")

        for words, seqs in {
            "über": [1, 3], "LOVELACE card": [1], "late-fee": [2], "100%_": [2], "00%done": [],
            "c" * 32 + "00000003": [3], "c" * 32: [1, 2, 3], "2": [2], "#482": [1], "ada": [1, 3],
        }.items():  # fmt: skip
            text = await searched(records, {"q": words})
            found = re.findall(r"/console/deployments/(\d+)\.", text)
            assert sorted(map(int, found)) == seqs, words
            few = await searched(records, {"q": words}, person())
            assert "shop/api" not in few
            assert "überall" not in few
        assert "shop/web #482" in await searched(records, {"q": "#482"})
        assert "Pay by card" in await searched(records, {"q": "482"})
        assert "/console/deliveries/1" in await searched(records, {"q": "lovelace"})


async def test_a_search_for_words_reads_a_bounded_number_and_goes_on_on_demand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.storage.journal.searching.WINDOW", 2)
    async with records_of([WEB]) as records:
        for seq in range(1, 6):
            one = replace(deployment(seq), message="feat: the same words")
            await record(records.journal, outcome(seq, one, explicit=True))

        pages, query = list[list[str]](), {"q": "same"}
        while "q" in query:
            text = await searched(records, query)
            pages.append(re.findall(r"/console/deployments/0*(\d+)\.", text))
            link = re.findall(r'<a href="\?([^"]*)">Search for the words', text) or [""]
            query = dict(parse_qsl(html.unescape(link[0])))
        assert pages == [["5", "4"], ["3", "2"], ["1"]]


# ── figures ──────────────────────────────────────────────────────────────────────────────────────


async def test_figures_are_three_plots_whose_apps_are_links_and_previews_are_left_out() -> None:
    preview = app("app-12", name="web pr-12", marker="bridge:x#12:app-web")
    lock = Hold(Gate.LOCK, "lock 1", "locked by Ada", Right.LOCK)
    clock = ManualClock(NOW - 7200)
    async with records_of([WEB, preview], clock=clock) as records:
        journal = records.journal
        for seq, state in enumerate([State.FAILED, State.DONE, State.DONE, State.DONE], 1):
            new = deployment(seq, "app-12" if seq == 4 else "app-web", created_at=NOW - 7200)
            await record(journal, outcome(seq, new, explicit=True))
            if seq == 2:
                facts = {"holds": holds_text([lock]), "held_at": clock.now}
                await journal.move(new.id, State.HELD, "held", **facts)
                clock.now = NOW
                await journal.move(new.id, State.WAITING, "")
            await journal.move(new.id, State.ASKED, "")
            await journal.move(new.id, state, "", live_at=None if seq == 1 else NOW)
        text = ""
        while "<svg" not in text:
            page = await PAGES["/console/figures"](records, BY_LINK, Asked({}, {}))
            text = draw(page, FRAME, NOW)

    for said in ("Change failure rate by week", "33% (1 of 3)", "lock: 2.0 h, 1 deployment"):
        assert said in text
    assert '<a href="/console/apps/app-web">shop/web</a>' in text
    assert "pr-12" not in text
    assert "0 cases" not in text
