"""The modals that configure an app: its parts, what would change, and what became of it. Pure.

`private_metadata` holds ids only: the app's, the channel's, a draft's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.chats.slack.configuring.change_views import change_blocks, name_of
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import (
    SECTION_TEXT,
    Element,
    actions,
    button,
    context,
    divider,
    modal,
    section,
)
from bridge.chats.slack.drawing.messages import Block, View
from bridge.chats.slack.drawing.mrkdwn import code, code_block, escape, prose
from bridge.core.configuring.plan import SAVABLE, Plan
from bridge.core.decision import Reason
from bridge.core.rehearsal import Rehearsal
from bridge.core.watch import App, AppKind
from bridge.core.watch_paths.lint import Finding

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
    Reason.SKIP_DIRECTIVE: "told to be skipped",
    Reason.TAG_MISMATCH: "with a tag that does not fit",
    Reason.TAG_TOO_OLD: "with a tag that is too old",
    Reason.NO_PATH_HIT: "without a watched file",
    Reason.WATCH_PATHS_BROKEN: "stopped by a broken watch path",
}
"""What pushes that would not deploy are, said after their number."""

_SIGNS = {"error": ":x:", "warning": ":warning:"}


@dataclass(frozen=True, slots=True)
class About:
    """What a view is about, as it stands in its metadata.

    Attributes:
        channel: where it was opened from, "" from Home.
        part: the modal that is shown, or that a change comes from.
        draft: what is agreed to when it is submitted.
    """

    app: str
    channel: str = ""
    part: str = names.PROVIDER_SOURCE
    draft: str = ""

    def write(self) -> str:
        """For `private_metadata`."""
        return json.dumps([self.app, self.channel, self.part, self.draft])


def read_about(metadata: str) -> About | None:
    """What `About.write` wrote; None where it can't be read."""
    try:
        app, channel, part, draft = map(str, json.loads(metadata))
    except (ValueError, TypeError):
        return None
    return About(app, channel, part if part in PARTS else names.PROVIDER_SOURCE, draft)


def reading(app: App) -> View:
    """While its values are read."""
    text = f":hourglass_flowing_sand:  Reading how *{name_of(app)}* is configured…"
    return modal(names.PROVIDER_NEWS, "Configure an app", [section(text)], close="Close")


def away(app: App, about: About, why: str) -> View:
    """That its values can't be read just now."""
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
    """One part of an app's configuration, to be changed."""
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
    """That the app's source can't be set from here, where it is of such a kind."""
    if app.source is None or app.source.type in SAVABLE:
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
    """It asks first: what it would take away stands in a view of its own."""
    return button("Disconnect…", names.PROVIDER_DISCONNECT, app.id, style="danger")


def tried_blocks(
    rehearsal: Rehearsal | None, findings: Sequence[Finding] = (), problem: str = ""
) -> list[Block]:
    """What recent pushes would do, and what is probably not meant."""
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
        return "No push of this repository has come lately, so there is nothing to try it on."
    head = f"Would deploy *{rehearsal.deploying} of the last {_many(rehearsal.pushes, 'push')}*"
    others = ", ".join(f"{n} {_OTHERS.get(reason, 'other')}" for reason, n in rehearsal.others)
    hint = f"\n:bulb: {prose(rehearsal.hint, 500)}" if rehearsal.hint else ""
    return f"{head}{f' ({others})' if others else ''}.{_unlisted(rehearsal)}{hint}"


def _unlisted(rehearsal: Rehearsal) -> str:
    """That some count only because nobody was asked which files they have changed."""
    if not rehearsal.unlisted:
        return ""
    which = f"{rehearsal.unlisted} of them" if rehearsal.unlisted > 1 else "One of them"
    return f" {which} only because the webhook does not list all files; a new push asks the host."


# ── what would change ────────────────────────────────────────────────────────


def comparing(about: About) -> View:
    """While it is found out what would change."""
    text = ":hourglass_flowing_sand:  Comparing with how it is configured now…"
    return modal(
        names.PROVIDER_NEWS, "What changes", [section(text)], close="Back", metadata=about.write()
    )


def difference_view(plan: Plan, about: About, rehearsal: Rehearsal | None = None) -> View:
    """What would change; to submit it is to agree."""
    if plan.empty:
        text = f"*{name_of(plan.app)}* is configured like that already."
        return modal(names.PROVIDER_NEWS, "What changes", [section(text)], close="Back")
    blocks: list[Block] = [section(f"*{name_of(plan.app)}*"), *change_blocks(plan.difference)]
    blocks += [context(f":information_source:  {prose(one, 500)}") for one in plan.remarks[:5]]
    if rehearsal is not None or plan.findings:
        blocks += tried_blocks(rehearsal, plan.findings)
    blocks.append(
        context("Nothing is saved yet. What you save counts from the next deployment on.")
    )
    return modal(
        names.PROVIDER_CONFIRM,
        "What changes",
        blocks,
        submit="Save",
        close="Back",
        metadata=about.write(),
    )


def parting_view(plan: Plan, about: About) -> View:
    """What an app would forget; to submit it is to agree."""
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
    """That somebody may not, and the lines of `bridge.yaml` that would allow it."""
    blocks: list[Block] = [section(f":lock:  {escape(why, 1500)}")]
    if lines:
        blocks.append(context("Whoever keeps `bridge.yaml` can allow it with these lines:"))
        blocks.append(section(code_block(lines, SECTION_TEXT)))
    return modal(names.PROVIDER_NEWS, "Configure an app", blocks, close="Close")


def unread(app: App, why: str) -> View:
    """That it can't be told what would change."""
    text = f":warning:  *{name_of(app)}* can't be read just now.\n{escape(why, 1000)}"
    blocks = [section(text), context("Nothing was changed: go back and try again.")]
    return modal(names.PROVIDER_NEWS, "What changes", blocks, close="Back")


def objected(why: str) -> View:
    """That it can't be as asked."""
    said = section(f":warning:  {escape(why, 1500)}")
    return modal(names.PROVIDER_NEWS, "What changes", [said], close="Back")


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}es"
