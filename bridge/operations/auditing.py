"""Who did what: the audit log."""

from typing import TYPE_CHECKING, Any

from bridge.operations.arguments import AuditedApp, Limit
from bridge.operations.base import Context, operation
from bridge.operations.reading import LOOK, PAGE
from bridge.views.values import Moment, Phrase, Text, iso, many
from bridge.views.view import Column, Row, Table, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.ports.outcomes import Audited

APP, PERSON, WHAT, CHANGE = 200, 60, 60, 1000
"""Characters of an app's name, a person's, what was done, and how it changed."""


@operation("audit", family=LOOK, lists=True, examples=("audit --app shop/web",))
async def audit(ctx: Context, app: AuditedApp = None, limit: Limit = 20) -> View:
    """List who changed what, newest first; never shows secrets."""
    journal, viewable = ctx.desk.journal, await ctx.viewable()
    found: list[Audited] = []
    before: int | None = None
    while len(found) < limit:
        page = await journal.audited(limit=PAGE, app_id=app, before=before)
        found += [one for one in page if ctx.sees() or (one.app_id and viewable(one))]
        if len(page) < PAGE:
            break
        before = page[-1].number
    return listed(found[:limit])


AUDITED = (
    *map(Column, ("when", "by", "what", "app")),
    Column("changed", long=True),
    Column("outcome", long=True),
)


def listed(those: "Sequence[Audited]") -> View:
    """List who did what, newest first."""
    data = [_audited_form(one) for one in those]
    if not those:
        return View(("nobody has changed anything yet",), data=data, empty=True)
    rows = [_audited_row(one) for one in those]
    return View((many(len(those), "change"),), parts=[Table(AUDITED, rows)], data=data)


def _audited_row(change: "Audited") -> Row:
    from bridge.core.configuration.difference import lines_of

    changed = "; ".join(lines_of(change.difference))
    by, app = Text(str(change.by), PERSON), Text(change.app, APP)
    outcome, detail = Text(change.outcome, CHANGE), Text(changed, CHANGE)
    line: Phrase = (
        *(Moment(change.at, since=True), f" {change.number} ", by, f" {change.what} ", app, " "),
        *(outcome, *((": ", detail) if changed else ())),
    )
    return Row(
        (
            (Moment(change.at, since=True),),
            (by,),
            (Text(change.what, WHAT),),
            (app,) if change.app else (),
            (detail,) if changed else (),
            (outcome,),
        ),
        line=line,
    )


def _audited_form(change: "Audited") -> dict[str, Any]:
    from bridge.views.changes import difference_form

    return {
        "number": change.number,
        "at": iso(change.at),
        "by": str(change.by),
        "app": change.app,
        "app_id": change.app_id,
        "action": change.what,
        "difference": difference_form(change.difference),
        "outcome": change.outcome,
        "undoes": change.undoes,
    }
