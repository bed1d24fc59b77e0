"""The `Journal` port: what people do, and its entry in the audit log, are one transaction."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.errors import Rejected
from bridge.core.gates.approvals import Approval
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import Scope
from bridge.core.holds import Lift
from bridge.core.people import Actor
from bridge.ports.outcomes import DONE, Audited
from tests.contract.journal.test_due import APP, ID, held, lock
from tests.contract.journal.test_previews import WEB, WEB_12, reported
from tests.fakes.journey import HEAD, ManualClock

SHOP = Scope("project/shop", "project shop")
FREEZE = Freeze("f1", (), "an incident", by="Ada", at=1.0, scope=SHOP.key, label=SHOP.label)
APPROVAL = Approval("app-web", HEAD, "github:grace", "Grace", "", 1.0)

Do = Callable[[Any, ManualClock, Any], Awaitable[Any]]
ACTS: dict[str, tuple[Do, Callable[[Any], Awaitable[Any]]]] = {
    "lock": (
        lambda journal, clock, audit: journal.take_lock(
            lock(clock, scope="all"), None, steal=False, audit=audit
        ),
        lambda journal: journal.locks(),
    ),
    "keep lock": (
        lambda journal, clock, audit: journal.keep_lock(lock(clock), clock.now + 9, audit),
        lambda journal: journal.locks(),
    ),
    "unlock": (
        lambda journal, _, audit: journal.release_lock("app/app-web", None, audit),
        lambda journal: journal.locks(),
    ),
    "freeze": (
        lambda journal, _, audit: journal.freeze(FREEZE, None, audit),
        lambda journal: journal.freezes(),
    ),
    "unfreeze": (
        lambda journal, _, audit: journal.unfreeze(Scope("all", "all apps"), None, audit),
        lambda journal: journal.freezes(),
    ),
    "approve": (
        lambda journal, _, audit: journal.approve(APPROVAL, audit),
        lambda journal: journal.approvals("app-web"),
    ),
    "override": (
        lambda journal, _, audit: journal.lift(ID, Lift((), "Ada", "cli:ada", "x", 1.0), audit),
        lambda journal: journal.deployment(ID),
    ),
    "preview stop": (
        lambda journal, _, audit: journal.ask_previews(WEB_12, audit, stopped=True),
        lambda journal: journal.preview(WEB_12),
    ),
}


async def test_nothing_is_done_without_its_entry(journal: Any, clock: ManualClock) -> None:
    await held(journal, clock)
    await journal.freeze(Freeze("f0", (), "x", by="Ada", at=1.0, scope="all", label="all"), None)
    await journal.report_previews(reported(), [WEB])

    def fails(_done: Any) -> Audited:
        raise ZeroDivisionError

    for what, (do, state) in ACTS.items():
        before = await state(journal)
        with pytest.raises(ZeroDivisionError):
            await do(journal, clock, fails)
        assert await state(journal) == before, what

        entry = Audited(clock.now, Actor("cli", "ada"), what, "app-web", "shop/web", (), DONE)
        await do(journal, clock, lambda _done, entry=entry: entry)
        assert await state(journal) != before, what
        kept = (await journal.audited(limit=99))[0]
        assert (kept.what, str(kept.by)) == (what, "cli: ada")
    assert len(await journal.audited(limit=99)) == len(ACTS)


@pytest.mark.parametrize("text", ["a \0 release", "a \ud800 release", "\0"])
async def test_no_text_that_people_give_is_an_error_of_the_database(
    journal: Any, clock: ManualClock, text: str
) -> None:
    """One of the two may refuse what it can't keep; a person reads why."""
    asked = (
        lambda: journal.take_lock(lock(clock, reason=text), None, steal=False),
        lambda: journal.words([text], before=2**62),
        lambda: journal.deployment(text),
        lambda: journal.serving([replace(APP, id=text)]),
        lambda: journal.live([text]),
        lambda: journal.deployments(app_id=text, limit=9),
    )
    for ask in asked:
        with suppress(Rejected):
            await ask()
