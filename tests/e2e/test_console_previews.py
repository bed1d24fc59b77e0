"""Previews in the console: what forms do, for whom, and what is told of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.apps import App
from bridge.core.previews.preview import Preview
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.previewed import HEAD, MOVED, held, previews_at_rest, report

WEB = App("app-web", "web", "shop")
STOP, APPROVE = "/console/do/previews%20stop", "/console/do/previews%20approve"
ACCESS = (
    "[{who: ['U0VIEW'], may: [view]}, {who: ['U0DEPLOY'], may: [deploy]},"
    " {who: ['U0APPROVE'], may: [approve]}, {who: ['U0OTHER'], may: [deploy, approve],"
    " apps: ['blog/*']}]"
)


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    async with (
        previews_at_rest(),
        console_world(tmp_path / "bridge", BRIDGE_ACCESS=ACCESS) as made,
    ):
        yield made


async def now_of(console: ConsoleWorld, preview: Preview) -> Preview:
    found = await console.world.stores.journal.preview(preview.id)
    assert found is not None
    return found


async def audited(console: ConsoleWorld) -> list[tuple[str, str]]:
    found = await console.world.stores.journal.audited(limit=9)
    return [(one.what, one.outcome) for one in found]


async def test_the_commit_on_the_page_is_approved_and_no_other(console: ConsoleWorld) -> None:
    journal = console.world.stores.journal
    waits = await held(journal, WEB, 12)
    async with console.browsing(await console.session("U0APPROVE", "Grace")) as web:
        page = await web.get("/console/previews")
        assert f'name="commit" value="{HEAD}"' in page.text
        await report(journal, WEB, 12, own=False, head_sha=MOVED)

        answer = await web.post(APPROVE, data={"preview": waits.id, "commit": HEAD})
        assert (answer.status_code, f"is at {MOVED[:12]} by now" in answer.text) == (400, True)
        assert (await now_of(console, waits)).approved is None
        for commit in ("", MOVED[:3]):
            answer = await web.post(APPROVE, data={"preview": waits.id, "commit": commit})
            assert answer.status_code == 400

        for _ in range(2):
            answer = await web.post(APPROVE, data={"preview": waits.id, "commit": MOVED})
            assert answer.status_code == 303
    now = await now_of(console, waits)
    assert (now.approved, now.approver) == (MOVED, "Grace")
    assert await audited(console) == [("previews approve", f"shop/web #12: commit {MOVED[:12]}")]
    assert [str(one.by) for one in await journal.audited(limit=9)] == ["console: Grace (U0APPROVE)"]
