"""What is said about how an app is configured, and about a change of that."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.views.values import Code, Icon, Phrase, Strong, Text
from bridge.views.view import About, Ask, Column, Facts, Log, Row, Table, View

if TYPE_CHECKING:
    from bridge.core.configuration.plan import Plan

LABEL, VALUE, SAID = 200, 500, 1000
"""Characters of an app's name, of a field's value, and of a remark."""


# ── how it is configured ──────────────────────────────────────────────────────────────────────────


def fields_of(app: App, fields: Mapping[str, Any], data: Any, hint: str = "") -> View:
    """Show the fields that are set; values that may be secret are masked already."""
    label, beside = Text(app.label, LABEL), [(hint,)] if hint else []
    facts = [(name, _value(value)) for name, value in fields.items() if value is not None]
    if not facts:
        return View((label, ": nothing is set"), data=data, hints=beside)
    parts = [Facts(facts, title=(label,))]
    return View((Strong(label),), Icon.GEAR, notes=beside, parts=parts, data=data)


def _value(value: Any) -> Phrase:
    """Return a value; of a list each entry on a line of its own, where there is room."""
    from bridge.core.configuration.difference import text_of

    if not (isinstance(value, tuple) and value):
        return (Code(Text(text_of(value), VALUE)),)
    return tuple(piece for one in value for piece in ("\n", Code(Text(one, VALUE))))[1:]


BEFORE = {"env": "", "build_args": "build argument ", "build_secrets": "build secret "}
"""What is said before a variable of each section."""


def variables_of(app: App, found: Mapping[str, Mapping[str, str]], data: Any) -> View:
    """Show the variables of each section."""
    label = Text(app.label, LABEL)
    lines = [
        f"{words}{key}={value}"
        for section, words in BEFORE.items()
        for key, value in found[section].items()
    ]
    if not lines:
        return View((label, " has no variables"), data=data)
    return View((Strong(label),), Icon.GEAR, parts=[Log(lines, exact=True)], data=data)


def configurable(app: App, offers: Sequence[Call]) -> View:
    """Offer what can be configured of an app; a door may have a dialog for all of it."""
    return View(("Configure ", Strong(Text(app.label, LABEL))), offers=offers, about=About(app))


# ── a change ──────────────────────────────────────────────────────────────────────────────────────

CHANGED = (
    Column("field"),
    Column("before", long=True, said="was"),
    Column("after", long=True, said="becomes"),
)


def planned(plan: "Plan", call: Call, does: str) -> View:
    """Show what a change would do, and ask for it."""
    from bridge.core.configuration.difference import lines_of, text_of
    from bridge.views.changes import change_line

    label, data = Text(plan.app.label, LABEL), plan_form(plan)
    hints = [(Text(words, SAID),) for words in _hints(plan)]
    if plan.empty:
        return View((label, " is configured like that already"), data=data, hints=hints)
    rows = [
        Row(
            tuple((Text(text, VALUE),) for text in (one.field, *map(text_of, _both(one)))),
            line=(Text(line, SAID),),
            says=[change_line(one)],
        )
        for one, line in zip(plan.difference, lines_of(plan.difference), strict=True)
    ]
    return View(
        (f"{plan.what} of ", label, ":"),
        parts=[Table(CHANGED, rows)],
        data=data,
        hints=hints,
        asks=Ask(call, f"{plan.what} of {plan.app.label}?", does),
    )


def _both(changed: Any) -> tuple[Any, Any]:
    return changed.before, changed.after


def _hints(plan: "Plan") -> Iterator[str]:
    """Yield probable mistakes, and what else to know; notes are true of most patterns."""
    for one in plan.findings:
        if one.level != "note":
            yield f"watch path {one.pattern!r}: {one.sentence} {one.remedy}"
    yield from (f"note: {remark}" for remark in plan.remarks)


def plan_form(plan: "Plan") -> dict[str, Any]:
    """Return a planned change for programs."""
    from bridge.views.changes import difference_form

    return {
        "app": plan.app.label,
        "app_id": plan.app.id,
        "action": str(plan.what),
        "difference": difference_form(plan.difference),
        "findings": [
            {
                "code": one.code,
                "level": one.level,
                "pattern": one.pattern,
                "sentence": one.sentence,
                "remedy": one.remedy,
            }
            for one in plan.findings
        ],
        "remarks": list(plan.remarks),
    }


def made(plan: "Plan", then: str) -> View:
    """Say that a change is made; `then`: what follows from it."""
    return View(("changed ", Text(plan.app.label, LABEL), then), data=plan_form(plan))


def being_made(app: App, trouble: str | None) -> View:
    """Say that a change is kept; `trouble`: why its backend can't be asked now."""
    notes: list[Phrase] = [("Its outcome is told once it is made; the audit log has it, too.",)]
    if trouble:
        notes.insert(0, ("It waits for the backend: ", Text(trouble, VALUE)))
    head = ("Kept: ", Strong(Text(app.label, LABEL)), " is being changed")
    return View(head, Icon.GEAR, notes=notes, data={"app": app.label}, may_be_lost=True)
