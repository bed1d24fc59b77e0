"""The modals that configure an app: its parts, the changes, and the outcome. Pure.

`private_metadata` holds ids only: the app's, the channel's, a draft's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    SECTION_TEXT,
    Block,
    Element,
    Message,
    View,
    actions,
    button,
    context,
    divider,
    modal,
    section,
)
from bridge.chats.slack.mrkdwn import NOTHING, code, code_block, escape, prose
from bridge.chats.slack.views import list_blocks
from bridge.core.apps import App, AppKind
from bridge.core.configuration.difference import Changed
from bridge.core.configuration.fields import SOURCES
from bridge.core.configuration.plan import Plan
from bridge.core.configuration.rehearsal import Rehearsal
from bridge.core.decision import Reason
from bridge.core.matching.lint import Finding
from bridge.ports.outcomes import DONE, Audited, Stage
from bridge.views.changes import changes_list


def change_blocks(changed: Sequence[Changed]) -> list[Block]:
    """Render each field before and after."""
    return list_blocks(changes_list(changed))


# ── The outcome ───────────────────────────────────────────────────────────────────────────────────


def saving_view(app: App, trouble: str = "") -> View:
    """Render that the change is kept and will be made."""
    text = f":hourglass_flowing_sand:  Kept. *{name_of(app)}* is being changed…"
    blocks: list[Block] = [section(text)]
    if trouble:
        blocks.append(context(f"It waits for the backend: {escape(trouble, 500)}"))
    blocks.append(context("You can close this: you will be told the outcome."))
    return modal(names.PROVIDER_NEWS, "Configure an app", blocks, close="Close")


def outcome_view(note: Audited) -> View:
    """Render the outcome of a change, or that it waits."""
    message = told(note)
    return modal(names.PROVIDER_NEWS, "Configure an app", message.blocks, close="Close")


def told(note: Audited) -> Message:
    """Render the same, for the person who asked only."""
    name = f"*{escape(note.app, 200) or NOTHING}*"
    if note.result == DONE:
        head, text = (
            f":white_check_mark:  {name} is changed.",
            f"{escape(note.app, 200)} is changed.",
        )
    elif note.result.stage is Stage.WAITS:
        head = f":hourglass_flowing_sand:  The change of {name} {escape(note.outcome, 600)}."
        text = f"The change of {escape(note.app, 200)} waits for the backend."
    elif not note.over:
        head, text = f":hourglass_flowing_sand:  {name} is being changed…", "It is being changed."
    else:
        sign, said = _ended(name, note)
        why = escape(note.result.why or note.outcome, 1500)
        head = f"{sign}  {said}\n{why}"
        text = f"{_ended(escape(note.app, 200), note)[1].rstrip('.')}: {why}"
    return Message(text, (section(head), *change_blocks(note.difference)))


def _ended(name: str, note: Audited) -> tuple[str, str]:
    """Return a sign and a sentence for a failed change, without claiming more than is known."""
    if note.result.stage is Stage.UNSURE:
        return ":grey_question:", f"Whether {name} was changed is not known."
    if note.result.stage is Stage.PARTLY:
        return ":warning:", f"{name} was changed, but not as asked."
    return ":x:", f"{name} was not changed."


def name_of(app: App) -> str:
    """Return an app's name, escaped."""
    return escape(app.label, 200) or NOTHING


# ── The modals ────────────────────────────────────────────────────────────────────────────────────

PARTS = {
    names.PROVIDER_SOURCE: "Source",
    names.PROVIDER_BUILD: "Build",
    names.PROVIDER_ENVIRONMENT: "Variables",
}
MOST_FINDINGS = 5

_OTHERS = {
    Reason.TRIGGER_MISMATCH: "of another kind",
    Reason.BRANCH_MISMATCH: "to another branch",
    Reason.REF_DELETED: "a deletion",
    Reason.SKIP_DIRECTIVE: "with a skip directive",
    Reason.TAG_MISMATCH: "with a tag that does not fit",
    Reason.TAG_TOO_OLD: "with a tag that is too old",
    Reason.NO_PATH_HIT: "without a watched file",
    Reason.WATCH_PATHS_BROKEN: "stopped by a broken watch path",
}
"""Words for pushes that would not deploy, said after their number."""

_SIGNS = {"error": ":x:", "warning": ":warning:"}


@dataclass(frozen=True, slots=True)
class About:
    """The context of a view, as stored in its metadata.

    Attributes:
        channel: where it was opened; "" for Home.
        part: the modal that is shown, or that made a change.
        draft: the change that a submission agrees to.
    """

    app: str
    channel: str = ""
    part: str = names.PROVIDER_SOURCE
    draft: str = ""

    def write(self) -> str:
        """Return the text for `private_metadata`."""
        return json.dumps([self.app, self.channel, self.part, self.draft])


def read_about(metadata: str) -> About | None:
    """Read what `About.write` wrote; None if it is unreadable."""
    try:
        app, channel, part, draft = map(str, json.loads(metadata))
    except (ValueError, TypeError):
        return None
    return About(app, channel, part if part in PARTS else names.PROVIDER_SOURCE, draft)


def reading(app: App) -> View:
    """Render the modal while its values are read."""
    text = f":hourglass_flowing_sand:  Reading how *{name_of(app)}* is configured…"
    return modal(names.PROVIDER_NEWS, "Configure an app", [section(text)], close="Close")


def away(app: App, about: About, why: str) -> View:
    """Render that its values can't be read just now."""
    again = button("Try again", names.PROVIDER_AGAIN, app.id, style="primary")
    blocks = [
        section(f":warning:  *{name_of(app)}* can't be read just now.\n{escape(why, 1000)}"),
        context("Nothing was changed."),
        actions(again),
    ]
    return modal(
        names.PROVIDER_NEWS, "Configure an app", blocks, close="Close", metadata=about.write()
    )


def part_view(
    app: App,
    about: About,
    fields: Sequence[Block],
    *,
    tried: Sequence[Block] = (),
    has_source: bool = True,
) -> View:
    """Render one part of an app's configuration, for editing."""
    blocks = [section(f"*{name_of(app)}*"), *_turns(app, about.part), divider(), *fields, *tried]
    if about.part == names.PROVIDER_SOURCE and has_source:
        blocks += [divider(), actions(_disconnect(app))]
    return modal(
        about.part,
        "Configure an app",
        blocks,
        submit="See what changes",
        metadata=about.write(),
    )


def only_there(app: App) -> list[Block]:
    """Render that sources of the app's kind can't be set from here."""
    if app.source is None or app.source.type in SOURCES:
        return []
    kind = escape(str(app.source.type), 40)
    said = f"Now it comes from {kind}, which can only be set in the backend; what you save here"
    return [context(f":information_source:  {said} takes its place. It can be undone.")]


def _turns(app: App, part: str) -> list[Block]:
    parts = [name for name in PARTS if name != names.PROVIDER_BUILD or _is_built(app)]
    others = [
        button(PARTS[name], f"{names.PROVIDER_PART}.{name.partition('.')[2]}", name)
        for name in parts
        if name != part
    ]
    return [context(f"*{PARTS[part]}*"), actions(*others)]


def _is_built(app: App) -> bool:
    return app.kind is AppKind.APPLICATION


def _disconnect(app: App) -> Element:
    """Return the disconnect button; it asks first, in a view that shows what would be removed."""
    return button("Disconnect…", names.PROVIDER_DISCONNECT, app.id, style="danger")


def tried_blocks(
    rehearsal: Rehearsal | None, findings: Sequence[Finding] = (), problem: str = ""
) -> list[Block]:
    """Render what recent pushes would do, and probable mistakes."""
    blocks: list[Block] = [context(_tried(rehearsal, problem))]
    lines = [
        f"{_SIGNS[one.level]}  {code(one.pattern, 80)} {prose(one.sentence, 300)}"
        f" {prose(one.remedy, 300)}"
        for one in findings
        if one.level in _SIGNS
    ]
    if lines:
        blocks.append(section("\n".join(lines[:MOST_FINDINGS])))
    return blocks


def _tried(rehearsal: Rehearsal | None, problem: str) -> str:
    if problem:
        return f":information_source:  {prose(problem, 500)}"
    if rehearsal is None:
        return "Recent pushes can't be tried just now."
    if not rehearsal.pushes:
        return "This repository had no push lately, so there is nothing to try it on."
    head = f"Would deploy *{rehearsal.deploying} of the last {_many(rehearsal.pushes, 'push')}*"
    others = ", ".join(f"{n} {_OTHERS.get(reason, 'other')}" for reason, n in rehearsal.others)
    hint = f"\n:bulb: {prose(rehearsal.hint, 500)}" if rehearsal.hint else ""
    return f"{head}{f' ({others})' if others else ''}.{_unlisted(rehearsal)}{hint}"


def _unlisted(rehearsal: Rehearsal) -> str:
    """Render that some pushes count only because their changed files are unknown."""
    if not rehearsal.unlisted:
        return ""
    which = f"{rehearsal.unlisted} of them" if rehearsal.unlisted > 1 else "One of them"
    return f" {which} only because the webhook does not list all files; a new push asks the host."


# ── What would change ─────────────────────────────────────────────────────────────────────────────


def comparing(about: About) -> View:
    """Render the modal while the changes are worked out."""
    text = ":hourglass_flowing_sand:  Comparing with how it is configured now…"
    return modal(
        names.PROVIDER_NEWS, "What changes", [section(text)], close="Back", metadata=about.write()
    )


def difference_view(plan: Plan, about: About, rehearsal: Rehearsal | None = None) -> View:
    """Render what would change; submitting it means agreement."""
    if plan.empty:
        text = f"*{name_of(plan.app)}* is configured like that already."
        return modal(names.PROVIDER_NEWS, "What changes", [section(text)], close="Back")
    blocks: list[Block] = [section(f"*{name_of(plan.app)}*"), *change_blocks(plan.difference)]
    blocks += [context(f":information_source:  {prose(one, 500)}") for one in plan.remarks[:5]]
    if rehearsal is not None or plan.findings:
        blocks += tried_blocks(rehearsal, plan.findings)
    blocks.append(context("Nothing is saved yet. Changes take effect with the next deployment."))
    return modal(
        names.PROVIDER_CONFIRM,
        "What changes",
        blocks,
        submit="Save",
        close="Back",
        metadata=about.write(),
    )


def parting_view(plan: Plan, about: About) -> View:
    """Render what an app would lose; submitting it means agreement."""
    said = (
        f"*{name_of(plan.app)}* forgets where its code comes from, its watch paths, its trigger and"
        " the rules set from here. No push deploys it then. What is live stays live."
    )
    back = "Nothing is changed yet. Once it is, it can be undone."
    remarks = [context(f":information_source:  {prose(one, 500)}") for one in plan.remarks[:5]]
    blocks = [section(said), *change_blocks(plan.difference), *remarks, context(back)]
    return modal(
        names.PROVIDER_PARTING,
        "Disconnect its source?",
        blocks,
        submit="Disconnect",
        close="Keep it",
        metadata=about.write(),
    )


def refused_view(why: str, lines: str = "") -> View:
    """Render a refusal, and the lines of `bridge.yaml` that would allow it."""
    blocks: list[Block] = [section(f":lock:  {escape(why, 1500)}")]
    if lines:
        blocks.append(context("An administrator can allow it with these lines in `bridge.yaml`:"))
        blocks.append(section(code_block(lines, SECTION_TEXT)))
    return modal(names.PROVIDER_NEWS, "Configure an app", blocks, close="Close")


def unread(app: App, why: str) -> View:
    """Render that the changes can't be worked out."""
    text = f":warning:  *{name_of(app)}* can't be read just now.\n{escape(why, 1000)}"
    blocks = [section(text), context("Nothing was changed: go back and try again.")]
    return modal(names.PROVIDER_NEWS, "What changes", blocks, close="Back")


def objected(why: str) -> View:
    """Render that the request is impossible."""
    said = section(f":warning:  {escape(why, 1500)}")
    return modal(names.PROVIDER_NEWS, "What changes", [said], close="Back")


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}es"
