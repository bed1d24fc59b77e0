"""*Roll back* in the console: offered where there is a version to go back to, which it names."""

import re

import pytest

from bridge.console.pages import PAGES
from bridge.console.records import Asked, Records
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK
from bridge.core.apps import App, AppKind
from bridge.core.lifecycle import State, Verdict
from tests.fakes.journey import app, deployment
from tests.worlds.console_records import FRAME, NOW, records_of
from tests.worlds.journal import outcome, record

WEB, API = app("app-web"), app("app-api")
STACK = app("app-stack", kind=AppKind.COMPOSE)


async def lived(records: Records, seq: int, of: App, *, well: bool = True) -> str:
    """Record a version that an app serves from now on, and return its deployment's id."""
    one = deployment(seq, of.id)
    await record(records.journal, outcome(seq, one, explicit=True))
    state = State.DONE if well else State.UNHEALTHY
    verdict = Verdict.VERIFIED if well else Verdict.UNHEALTHY
    facts = {"live_at": NOW + seq, "deployed_commit": f"{seq:07d}" + "0" * 33}
    await records.journal.move(one.id, State.VERIFYING, "", **facts)
    await records.journal.move(one.id, state, "", verdict=verdict)
    return one.id


async def failed(records: Records, seq: int, of: App) -> str:
    one = deployment(seq, of.id)
    await record(records.journal, outcome(seq, one, explicit=True))
    await records.journal.move(one.id, State.FAILED, "the build ended with 1")
    return one.id


async def page(records: Records, path: str = "/console", **parts: str) -> str:
    return draw(await PAGES[path](records, BY_LINK, Asked(parts, {})), FRAME, NOW)


def buttons(page: str) -> list[tuple[str, str]]:
    """The buttons of a page that go back, each with the deployment that it names."""
    forms = re.findall(r'<form [^>]*action="/console/do/rollback">.*?</form>', page, re.DOTALL)
    return [
        (
            "".join(re.findall(r"<button[^>]*>(.*?)</button>", one)),
            "".join(re.findall(r'name="to" value="(.*?)"', one)),
        )
        for one in forms
    ]


async def test_a_way_back_names_its_version_and_leads_to_it() -> None:
    async with records_of([WEB, API]) as records:
        first = await lived(records, 1, WEB)
        second = await lived(records, 2, WEB)
        live = await lived(records, 3, WEB, well=False)
        await lived(records, 4, API)
        broken = await failed(records, 5, API)

        to_second = [("Roll back to 0000002…", second)]
        assert buttons(await page(records)) == to_second  # nothing of the app with one version
        assert buttons(await page(records, "/console/apps/{id}", id=WEB.id)) == to_second
        assert buttons(await page(records, "/console/deployments/{id}", id=live)) == to_second
        assert buttons(await page(records, "/console/apps/{id}", id=API.id)) == []
        assert buttons(await page(records, "/console/deployments/{id}", id=broken)) == []
        assert buttons(await page(records, "/console/deployments/{id}", id=first)) == [
            ("Roll back to this…", first)
        ]


async def test_a_stack_of_which_no_version_is_kept_has_no_way_back() -> None:
    async with records_of([STACK]) as records:
        await lived(records, 1, STACK)
        await lived(records, 2, STACK, well=False)

        assert buttons(await page(records)) == []


async def test_all_ways_back_of_a_page_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [app(f"app-{n}") for n in range(4)]
    async with records_of(apps) as records:
        seq = 0
        for each in apps:
            await lived(records, seq + 1, each)
            await lived(records, seq + 2, each)
            await failed(records, seq := seq + 3, each)
        asked, ask = [], type(records.journal).rollback_targets

        async def counted(self: object, those: list[App]) -> object:
            asked.append(len(those))
            return await ask(self, those)  # type: ignore[arg-type]

        monkeypatch.setattr(type(records.journal), "rollback_targets", counted)
        shown = await page(records)

        assert len(buttons(shown)) == len(apps)
        assert asked == [len(apps)]
