"""Audit: who changed what, when, and how it ended; and the feedback that could not be shown."""

from bridge.console.pages.request import Asked
from bridge.console.records import Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import find_app

A_PAGE = 200
"""Entries on a page."""


async def audit(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the changes that somebody may see, newest first, a page at a time."""
    name, before = asked.text("app"), asked.number("before", 0) or None
    app_id = find_app(records.seen(visitor), name).id if name else None
    found = await records.journal.audited(limit=A_PAGE, app_id=app_id, before=before)
    everything = records.sees_all(visitor)
    entries = [
        one for one in found if everything or (one.app_id and records.may_see(visitor, one.app))
    ]
    tells = everything and before is None
    failing = await records.journal.feedback(limit=A_PAGE, failing=True) if tells else []
    facts = {
        "entries": entries,
        "app": name,
        "failing": failing,
        "older": asked.again(before=found[-1].number) if len(found) == A_PAGE else "",
        "newest": asked.again(before="") if before else None,
    }
    return Page("audit", "Audit", facts, live=before is None)
