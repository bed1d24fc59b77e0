"""What terminals show of gates: scenes of `tests/scenes/terminal.py` on data of their own."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.app.storage import Stores, open_stores
from bridge.core.apps import App, Rules
from bridge.core.decision import Decision, Reason
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.locks import Lock
from bridge.core.holds import Proposal
from bridge.ports.gates import CommitAt, Judging
from bridge.ports.outcomes import Outcome
from bridge.settings import read_settings
from tests.fakes.journey import ManualClock, deployment
from tests.scenes.hostile import EVIL

HOUR = 3600.0
COMMIT = "9f2c1ab" + "0" * 33

GATES: Mapping[str, tuple[str, ...]] = {
    "approve": ("approve", "shop/web", "--yes"),
    "freeze": ("freeze", "shop", "-m", "an incident", "--for", "2h"),
    "freezes": ("freezes",),
    "held": ("held",),
    "lock": ("lock", "all", "-m", "a migration runs", "--for", "2h"),
    "lock-taken": ("lock", "shop/web", "-m", "mine"),
    "lock-stolen": ("lock", "shop/web", "-m", "mine", "--steal"),
    "locks": ("locks",),
    "override": ("override", "shop/web", "-m", "the fix of the outage"),
    "unlock": ("unlock", "shop/web"),
}

FREEZES = "- {apps: [shop/*], from: 'fri 16:00', to: 'mon 08:00', tz: Europe/Berlin, reason: rest}"
"""The setting that all of these scenes have."""


@contextmanager
def gated(data: Path, now: float) -> Iterator[Mapping[str, str]]:
    """Copy data, and have gates hold an app; yields the settings that lead there."""
    with TemporaryDirectory() as folder:
        own = Path(folder, "data")
        shutil.copytree(data, own)
        given = {"BRIDGE_DATA": str(own)}

        async def run() -> None:
            async with open_stores(read_settings(None, given), clock=ManualClock(now)) as stores:
                await _close_gates(stores, now)

        asyncio.run(run())
        yield {**given, "BRIDGE_FREEZES": FREEZES}


async def _close_gates(stores: Stores, now: float) -> None:
    journal = stores.journal
    apps = {one.label: one for one in await journal.apps()}
    web, api = apps["shop/web"], apps["shop/api"]
    lock = Lock(f"app/{web.id}", web.label, "slack:U1", f"Grace {EVIL}", "a migration", now - HOUR)
    await journal.take_lock(lock, None, steal=False)
    await journal.freeze(
        Freeze(
            "freeze-1",
            (),
            "an incident that takes longer than anybody has thought at first",
            allow=frozenset({Allowed.MANUAL}),
            by="Ada",
            at=now - HOUR,
            scope=f"app/{api.id}",
            label=api.label,
        ),
        None,
    )
    files = ("apps/web/cart.tsx", "apps/web/delivery.ts", f"apps/web/{EVIL}")
    message, author = f"Show the dates {EVIL}", f"Ada {EVIL}"
    proposal = Proposal(COMMIT, message, author, "9" * 40, 9, files, anyone=True)
    await _hold(stores, web, 91, Rules(approvals=2), proposal)
    await _hold(stores, api, 92, Rules())


async def _hold(
    stores: Stores, app: App, seq: int, rules: Rules, proposal: Proposal | None = None
) -> None:
    new = replace(deployment(seq, app.id, commit=COMMIT), app=app.label)
    because = Decision(app.id, app.label, Reason.ASKED, "because")
    outcome = Outcome(seq, f"d{seq}", (because,), (new,))
    await stores.journal.record([outcome], window=0)
    head = CommitAt("github", "my-org/mono", COMMIT, "main")
    by = Judging(replace(app, rules=rules), head=head, proposal=proposal)
    await stores.journal.judge(new.id, by)
