"""What a command is answered with: how apps stand, what was, and why."""

import json
from collections.abc import Sequence

from bridge.chats.slack.cards.card import cancel_button
from bridge.chats.slack.commands.pickers import matching
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import (
    SECTION_TEXT,
    Element,
    actions,
    button,
    context,
    divider,
    modal,
    paragraphs,
    section,
)
from bridge.chats.slack.drawing.facts import (
    ICONS,
    NOTE,
    Links,
    asked_by,
    commit_of,
    joined,
    ref_of,
    remark,
    source_of,
    took,
    verdict_of,
)
from bridge.chats.slack.drawing.messages import Block, Message, View
from bridge.chats.slack.drawing.mrkdwn import clean_lines, code, code_blocks, escape, moment, prose
from bridge.chats.slack.drawing.standing import (
    Standing,
    brief,
    broken,
    changed,
    icon_of,
    label_of,
    since,
    standings,
    still_open,
)
from bridge.core.decision import Reason
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import end_of
from bridge.core.redaction import redact
from bridge.core.watch import App, Trigger
from bridge.ports.outcomes import Explained

PAGE = 25
"""So many apps stand on a page of a list."""

MOST_LINES = 15
LOG_BLOCKS = 8


def status_of(app: App, deployments: Sequence[Deployment], links: Links) -> Message:
    """How one app stands; its deployments come newest first."""
    newest = deployments[0] if deployments else None
    verdict = verdict_of(newest) if newest else "was never deployed from here"
    lines = [f"{icon_of(newest)}  {label_of(app)} {verdict}"]
    if newest:
        lines.append(brief(newest, app, links, said=100))
    blocks: list[Block] = [section("\n".join(lines))]
    if newest and (note := remark(newest)):
        blocks.append(context(note))
    blocks.append(context(f"It {_waits(app)}"))
    blocks.append(actions(*_app_buttons(app, newest)))
    text = f"{escape(app.label, 200)} {verdict}"
    return Message(text, tuple(blocks))


def status_all(apps: Sequence[App], deployments: Sequence[Deployment], links: Links) -> Message:
    """How all apps stand: what moves and what is broken first, the rest as a number."""
    known = {app.id: app for app in apps}
    moving = [one for one in still_open(deployments) if one.app_id in known]
    failed = broken(standings(apps, deployments))
    calm = len(apps) - len({one.app_id for one in [*moving, *failed]})
    blocks: list[Block] = []
    if moving:
        lines = [_line(one, known[one.app_id], links) for one in moving]
        blocks.append(section(_listed("*Under way*", lines)))
    if failed:
        lines = [_line(one, known[one.app_id], links) for one in failed]
        blocks.append(section(_listed("*Needs a look*", lines)))
    rest = f"{_many(calm, 'other app')} at rest" if moving or failed else _calm(len(apps))
    blocks.append(context(rest) if blocks else section(f":white_check_mark:  {rest}"))
    text = f"{len(moving)} under way, {len(failed)} failed, {calm} at rest"
    return Message(text, tuple(blocks))


def history(app: App, deployments: Sequence[Deployment], links: Links) -> Message:
    """The newest deployments of an app, newest first."""
    title = f"*History of {escape(app.label, 200)}*"
    if not deployments:
        return Message(*_alike(f"{title}\nIt was never deployed from here."))
    blocks: list[Block] = [section(title)]
    for one in deployments[:MOST_LINES]:
        head = joined(f"{ICONS[one.state]}  {brief(one, app, links)}", took(one))
        about = asked_by(one)
        blocks.append(section(f"{head}\n{about}"))
    text = f"{escape(app.label, 200)}: {_many(len(deployments), 'deployment')}"
    return Message(text, tuple(blocks))


def why(
    app: App,
    explained: Sequence[Explained],
    links: Links,
    remarks: Sequence[str] = (),
    *,
    gone: bool = False,
) -> Message:
    """Why pushes did or did not deploy an app, newest first.

    Args:
        gone: it was deleted at its backend, so it waits for nothing.
        remarks: what else there is to say, as what came nearest to its watch paths.
    """
    title = f"*Why {escape(app.label, 200)} was or was not deployed*"
    if not explained:
        nothing = "Nothing has come for it yet: no push, no tag, no command."
        waits = "" if gone else f"\nIt {_waits(app)}"
        return Message(*_alike(f"{title}\n{nothing}{waits}"))
    blocks: list[Block] = [section(title)]
    blocks += [_verdict(one, app, links) for one in explained[:MOST_LINES]]
    blocks += [context(f":bulb: {prose(one, 1000)}") for one in remarks[:3]]
    if not gone:
        blocks.append(context(f"Now it {_waits(app)}"))
    newest = explained[0].decision
    told = "deployed" if newest.deploy else "not deployed"
    text = f"{escape(app.label, 200)} {told}: {prose(newest.evidence, NOTE)}"
    return Message(text, tuple(blocks))


def _verdict(one: Explained, app: App, links: Links) -> Block:
    decision = one.decision
    sign, told = (":rocket:", "Deploys") if decision.deploy else (":fast_forward:", "Left alone")
    if decision.reason in (Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED):
        sign, told = ":no_entry_sign:", "Cancels"
    if decision.reason is Reason.CONFIGURE_ASKED:
        sign, told = ":gear:", "Configures"
    head = joined(
        f"{sign}  *{told}*  {code(decision.reason, 60)}",
        " ".join(filter(None, (ref_of(one.ref), commit_of(one.commit, app, links)))),
        moment(one.at),
    )
    return section(f"{head}\n{prose(decision.evidence, NOTE)}")


def list_apps(
    apps: Sequence[App],
    deployments: Sequence[Deployment],
    *,
    typed: str = "",
    page: int = 1,
    links: Links,
) -> Message:
    """The apps that fit what was typed, a page of them."""
    found = matching(apps, typed)
    if not found:
        fits = f" that fits {code(typed, 60)}" if code(typed, 60) else ""
        return Message(*_alike(f"There is no app{fits}."))
    pages = -(-len(found) // PAGE)
    page = min(max(page, 1), pages)
    shown = found[(page - 1) * PAGE : page * PAGE]
    lines = [_app_line(one, links) for one in standings(shown, deployments)]
    blocks = paragraphs(lines)
    first = (page - 1) * PAGE + 1
    place = f"{first} to {first + len(shown) - 1} of {len(found)}"
    if pages > 1:
        following = page % pages + 1
        to_next = "Next page" if following > page else "First page"
        turn = button(to_next, names.APPS_PAGE, _write_page(following, typed))
        blocks += [divider(), section(f"Apps {place}", turn)]
    else:
        blocks.append(context(_many(len(found), "app")))
    return Message(f"Apps {place}", tuple(blocks))


def read_page(value: str) -> tuple[int, str]:
    """The page and the filter that an `apps.page` button asks for; the first where unreadable."""
    try:
        page, typed = json.loads(value)
        return int(page), str(typed)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return 1, ""


def _write_page(page: int, typed: str) -> str:
    return json.dumps([page, typed[:200]], ensure_ascii=False)


def log_view(deployment: Deployment, tail: str) -> View:
    """A modal with the end of a deployment's log, redacted."""
    head = f"{ICONS[deployment.state]}  *{escape(deployment.app, 200)}*"
    blocks: list[Block] = [section(f"{head} {verdict_of(deployment)}")]
    shown = clean_lines(redact(end_of(tail, MOST_CHARACTERS))).strip()
    if shown:
        blocks += [section(text) for text in code_blocks(shown, SECTION_TEXT, LOG_BLOCKS)]
        blocks.append(context("The end of the log; what looks like a secret is hidden."))
    else:
        blocks.append(section("The backend has no log of it, or can't tell it now."))
    return modal(names.LOG_VIEW, "Log", blocks, close="Close")


def _app_line(one: Standing, links: Links) -> str:
    name = f"{icon_of(one.newest)}  {label_of(one.app)}"
    if one.newest is None:
        return joined(name, escape(source_of(one.app), 80))
    commit = changed(one.newest, one.app, links, 0)
    return joined(name, ref_of(one.newest.ref), commit, since(one.newest))


def _line(deployment: Deployment, app: App, links: Links) -> str:
    name = f"{ICONS[deployment.state]}  {label_of(app)}"
    return joined(name, changed(deployment, app, links, 30), since(deployment))


def _listed(title: str, lines: Sequence[str]) -> str:
    """Lines under a title, as many as fit into one section."""
    kept: list[str] = [title]
    for at, line in enumerate(lines):
        if len("\n".join([*kept, line])) > SECTION_TEXT - 50 or at == MOST_LINES:
            kept.append(f"and {len(lines) - at} more")
            break
        kept.append(line)
    return "\n".join(kept)


def _waits(app: App) -> str:
    """What makes it deploy, as a sentence without its subject."""
    where = escape(source_of(app), 160)
    if not app.pushed:
        return f"is deployed by no push: {where}"
    what = "tags" if app.waits_for is Trigger.TAG else "pushes"
    watched = app.watched or ()
    if app.waits_for is Trigger.TAG or not watched:
        return f"deploys on {what}: {where}"
    paths = ", ".join(filter(None, (code(path, 60) for path in watched[:3])))
    more = ", …" if len(watched) > 3 else ""
    return f"deploys on {what} that change {paths}{more}: {where}"


def _app_buttons(app: App, newest: Deployment | None) -> list[Element]:
    if newest is not None and not newest.final:
        return [cancel_button(newest), button("Why", names.DEPLOYMENT_WHY, newest.id)]
    shown = [button("Deploy", names.APP_DEPLOY, app.id)]
    if newest is not None:
        shown.append(button("Redeploy", names.APP_REDEPLOY, app.id))
    return [*shown, button("Configure", names.APP_PROVIDER, app.id)]


def _calm(apps: int) -> str:
    return f"All quiet: {_many(apps, 'app')} at rest" if apps else "There are no apps yet."


def _alike(text: str) -> tuple[str, tuple[Block, ...]]:
    return text, (section(text),)


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
