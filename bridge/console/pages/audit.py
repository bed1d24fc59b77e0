"""Audit: who changed what, when, and how it ended; and the feedback that could not be shown."""

from bridge.console.drawing import Page
from bridge.console.pages.asking import Asked
from bridge.console.records import Records
from bridge.console.visitors import Visitor
from bridge.core.apps import find_app

MOST = 200
"""Entries on the page."""


async def audit(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the newest changes that somebody may see."""
    name = asked.text("app")
    app_id = find_app(records.seen(visitor), name).id if name else None
    found = await records.journal.audited(limit=MOST, app_id=app_id)
    everything = records.sees_all(visitor)
    entries = [
        one for one in found if everything or (one.app_id and records.may_see(visitor, one.app))
    ]
    failing = await records.journal.feedback(limit=MOST, failing=True) if everything else []
    facts = {"entries": entries, "app": name, "failing": failing}
    return Page("audit", "Audit", facts, live=True)
