"""Approvals in the console: the page shows what would be approved, and approves nothing else."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.console.operations import Done, operate
from bridge.console.pages import PAGES
from bridge.console.records import Asked, Records
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK
from bridge.core.apps import Rules
from bridge.core.errors import Rejected
from bridge.core.holds import Proposal
from bridge.core.people import Identities
from bridge.core.refs import Pages
from bridge.operations.commands import ChatCommands
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.gates import CommitAt, Judging
from bridge.views.links import Links
from tests.fakes.journey import HEAD, app, deployment
from tests.worlds.console_records import FRAME, NOW, records_of
from tests.worlds.journal import outcome, record

WEB = app("app-web", rules=Rules(approvals=2))
MOVED, LIVE = "d" * 40, "9" * 40
ID = deployment(1).id
LINKS = Links({"github": ("https://github.com", Pages())})
PROPOSAL = Proposal(
    MOVED,
    "fix: the <b>cart</b>\n\nmore",
    "Eve & Co",
    LIVE,
    22,
    tuple(f"web/{n}" for n in range(20)),
    by=("github",),
)
WHO = Identities({"owner": frozenset({"console:owner", "github:ada"})})


@pytest.fixture
async def records() -> AsyncIterator[Records]:
    """An app whose branch has moved on since it was pushed to."""
    async with records_of([WEB]) as made:
        one = deployment(1, "app-web", message="feat: pushed", author="Ada")
        await record(made.journal, outcome(1, one))
        at = CommitAt("github", "my-org/mono", MOVED, "main")
        await made.journal.judge(ID, Judging(WEB, head=at, proposal=PROPOSAL))
        known = Known(made.apps, dict, lambda _app, _here: (), lambda: None)
        commands = ChatCommands(
            "console",
            made.inbox,
            made.journal,
            known,
            made.access,
            made.logs,
            made.clock,
            identities=WHO,
        )
        yield replace(made, commands=commands, links=LINKS)


async def shown(records: Records) -> str:
    page = await PAGES["/console/deployments/{id}"](records, BY_LINK, Asked({"id": ID}, {}))
    return draw(page, FRAME, NOW)


async def approve(records: Records, commit: str) -> str:
    form = {"app": WEB.id, "deployment": ID, "commit": commit}
    done = await operate(records, BY_LINK, {"name": "approve"}, form)
    assert isinstance(done, Done)
    return done.says


async def test_the_page_shows_the_commit_that_it_approves_and_what_that_brings(
    records: Records,
) -> None:
    text = await shown(records)

    assert f'name="commit" value="{MOVED}"' in text
    approving = text[text.index('id="to-approve"') :]
    for words in ("ddddddd", "fix: the &lt;b&gt;cart&lt;/b&gt;", "by Eve &amp; Co"):
        assert words in approving
    assert re.search(rf'href="[^"]*{LIVE}\.\.\.{MOVED}"[^>]*>22 files</a> since', approving)
    assert "web/19" in approving
    assert "and 2 more" in approving
    assert "feat: pushed" not in text
    assert HEAD[:7] not in text


async def test_only_the_commit_of_the_page_is_approved(records: Records) -> None:
    with pytest.raises(Rejected, match="the head of shop/web is now ddddddd, not"):
        await approve(records, HEAD)

    assert await approve(records, MOVED) == "You approved ddddddd of shop/web; 1 more to go."
    assert await approve(records, MOVED) == (
        "You had approved ddddddd of shop/web already: nothing changed; 1 more to go."
    )
