"""Answers to commands: the state of apps, deployments and their reasons, refusals, errors."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
    paragraphs,
    section,
)
from bridge.chats.slack.facts import (
    NEVER,
    Standing,
    asked_by,
    brief,
    broken,
    changed,
    commit_of,
    fate_line,
    icon_now,
    icon_of,
    joined,
    label_of,
    live_line,
    newest_at,
    ref_of,
    remark,
    source_of,
    standings,
    still_open,
)
from bridge.chats.slack.gates import held_briefly, held_buttons, held_lines, proposal_blocks
from bridge.chats.slack.mrkdwn import (
    NOTHING,
    clean,
    clean_lines,
    code,
    code_block,
    code_blocks,
    escape,
    moment,
    prose,
)
from bridge.chats.slack.pickers import matching
from bridge.chats.slack.views import ICONS, button_of
from bridge.core.apps import App, Trigger
from bridge.core.decision import Reason
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.health.fate import fate_of
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import Deployment, State
from bridge.core.log_text import end_of
from bridge.core.masking import redact
from bridge.ports.outcomes import Explained
from bridge.views.actions import cancel
from bridge.views.deployments import NOTE, took, verdict_of
from bridge.views.links import Links

PAGE = 25
"""Apps on a page of a list."""

MOST_LINES = 15
LOG_BLOCKS = 8


def status_of(
    app: App, deployments: Sequence[Deployment], links: Links, live: Serving | None = None
) -> Message:
    """Render the state of one app, and what it serves; its deployments come newest first."""
    newest = deployments[0] if deployments else None
    fate = fate_of(newest, live) if newest and live else None
    verdict = verdict_of(newest, fate) if newest else "was never deployed from here"
    icon = icon_now(newest.state, fate) if newest else NEVER
    lines = [f"{icon}  {label_of(app)} {verdict}"]
    if newest:
        lines.append(brief(newest, app, links, said=100))
    blocks: list[Block] = [section("\n".join(lines))]
    if newest and (held := held_lines(newest)):
        blocks += [section("\n".join(held)), *proposal_blocks(newest, app, links)]
    elif newest and (note := joined(fate_line(fate, None), remark(newest, fate))):
        blocks.append(context(note))
    if serves := live_line(live, app, links):
        blocks.append(context(serves))
    blocks.append(context(f"It {_waits(app)}"))
    blocks.append(actions(*_app_buttons(app, newest)))
    text = f"{escape(app.label, 200)} {verdict}"
    return Message(text, tuple(blocks))


def status_all(apps: Sequence[App], deployments: Sequence[Deployment], links: Links) -> Message:
    """Render the state of all apps: active and broken ones first, the rest as a number."""
    known = {app.id: app for app in apps}
    waiting = [one for one in still_open(deployments) if one.app_id in known]
    held = [one for one in waiting if one.state is State.HELD]
    moving = [one for one in waiting if one.state is not State.HELD]
    failed = broken(standings(apps, deployments))
    calm = len(apps) - len({one.app_id for one in [*moving, *held, *failed]})
    blocks: list[Block] = []
    if moving:
        lines = [_line(one, known[one.app_id], links) for one in moving]
        blocks.append(section(_listed("*Under way*", lines)))
    if held:
        lines = [_held_line(one, known[one.app_id], links) for one in held]
        blocks.append(section(_listed("*Held*", lines)))
    if failed:
        lines = [_line(one, known[one.app_id], links) for one in failed]
        blocks.append(section(_listed("*Needs a look*", lines)))
    rest = f"{_many(calm, 'other app')} at rest" if moving or held or failed else _calm(len(apps))
    blocks.append(context(rest) if blocks else section(f":white_check_mark:  {rest}"))
    counted = [f"{len(moving)} under way", f"{len(failed)} failed", f"{calm} at rest"]
    if held:
        counted.insert(1, f"{len(held)} held")
    text = ", ".join(counted)
    return Message(text, tuple(blocks))


def history(app: App, deployments: Sequence[Deployment], links: Links) -> Message:
    """Render the newest deployments of an app, newest first."""
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
    held: Deployment | None = None,
) -> Message:
    """Render why pushes did or did not deploy an app, newest first.

    Args:
        gone: it was deleted at its backend, so nothing deploys it.
        held: the deployment that gates hold now.
        remarks: further hints, e.g. the nearest miss of its watch paths.
    """
    title = f"*Why {escape(app.label, 200)} was or was not deployed*"
    if not explained:
        nothing = "Nothing has come in for it yet: no push, no tag, no command."
        waits = "" if gone else f"\nIt {_waits(app)}"
        return Message(*_alike(f"{title}\n{nothing}{waits}"))
    blocks: list[Block] = [section(title)]
    if held is not None and (lines := held_lines(held)):
        what = changed(held, app, links, 60)
        head = joined(f"{ICONS[held.state]}  *Held*", ref_of(held.ref), what)
        blocks.append(section("\n".join([head, *lines])))
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
    live: Mapping[str, Serving] = MappingProxyType({}),
) -> Message:
    """Render one page of the apps that match the typed text, with what they serve, by their ids."""
    found = matching(apps, typed)
    if not found:
        fits = f" that fits {code(typed, 60)}" if code(typed, 60) else ""
        return Message(*_alike(f"There is no app{fits}."))
    pages = -(-len(found) // PAGE)
    page = min(max(page, 1), pages)
    shown = found[(page - 1) * PAGE : page * PAGE]
    lines = [_app_line(one, live.get(one.app.id), links) for one in standings(shown, deployments)]
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
    """Return the page and the filter of an `apps.page` button; the first page if unreadable."""
    try:
        page, typed = json.loads(value)
        return int(page), str(typed)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return 1, ""


def _write_page(page: int, typed: str) -> str:
    return json.dumps([page, typed[:200]], ensure_ascii=False)


def log_view(deployment: Deployment, tail: str) -> View:
    """Return a modal with the end of a deployment's log, redacted."""
    head = f"{ICONS[deployment.state]}  *{escape(deployment.app, 200)}*"
    blocks: list[Block] = [section(f"{head} {verdict_of(deployment)}")]
    shown = clean_lines(redact(end_of(tail, MOST_CHARACTERS))).strip()
    if shown:
        blocks += [section(text) for text in code_blocks(shown, SECTION_TEXT, LOG_BLOCKS)]
        blocks.append(context("The end of the log; what looks like a secret is hidden."))
    else:
        blocks.append(section("The backend has no log of it, or can't show it now."))
    return modal(names.LOG_VIEW, "Log", blocks, close="Close")


def _app_line(one: Standing, live: Serving | None, links: Links) -> str:
    name = f"{icon_of(one.newest)}  {label_of(one.app)}"
    if one.newest is None:
        return joined(name, escape(source_of(one.app), 80))
    commit = changed(one.newest, one.app, links, 0)
    line = joined(name, ref_of(one.newest.ref), commit, newest_at(one.newest))
    serves = live_line(live, one.app, links)
    return "\n".join([line, *([serves] if serves else []), *held_briefly(one.newest)])


def _line(deployment: Deployment, app: App, links: Links) -> str:
    name = f"{ICONS[deployment.state]}  {label_of(app)}"
    return joined(name, changed(deployment, app, links, 30), newest_at(deployment))


def _held_line(deployment: Deployment, app: App, links: Links) -> str:
    """Return a held deployment with the first of its reasons."""
    return "\n".join([_line(deployment, app, links), *held_briefly(deployment)])


def _listed(title: str, lines: Sequence[str]) -> str:
    """Render lines under a title, as many as fit into one section."""
    kept: list[str] = [title]
    for at, line in enumerate(lines):
        if len("\n".join([*kept, line])) > SECTION_TEXT - 50 or at == MOST_LINES:
            kept.append(f"and {len(lines) - at} more")
            break
        kept.append(line)
    return "\n".join(kept)


def _waits(app: App) -> str:
    """Return what deploys it, as a sentence without its subject."""
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
        shown = held_buttons(newest)
        if not newest.served:
            shown.append(button_of(cancel(newest)))
        return [*shown, button("Why", names.DEPLOYMENT_WHY, newest.id)]
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


# ── refusals, errors ────────────────────────────────────────────────────────────────────────────

COMMAND = "/dokploy"
MOST_SUGGESTED = 5


def refused(right: str, target: str, *, why: str = "", grant: str = "") -> Message:
    """Render the refusal of a missing right.

    Args:
        right: the missing one, e.g. "deploy".
        target: an app's label, or another object; "" for none.
        why: the reason, in words.
        grant: the lines of `bridge.yaml` that would allow it.
    """
    what = f"{escape(right, 40)} {escape(target, 200)}".strip()
    said = f":lock:  *You may not {what}.*"
    # The heading already says the first half.
    if shown := _capital(prose(why.removeprefix(f"You may not {right} {target}: "), 1000)):
        said += f"\n{shown}"
    blocks: list[Block] = [section(said)]
    if grant:
        blocks.append(context("An administrator can allow it with these lines in `bridge.yaml`:"))
        blocks.append(section(code_block(grant, SECTION_TEXT)))
    return Message(f"You may not {what}.", tuple(blocks))


def problem(said: str, *, remedy: str = "") -> Message:
    """Render an error and its remedy."""
    shown = prose(said, 1500) or "Something went wrong."
    blocks: list[Block] = [section(f":warning:  {_capital(shown)}")]
    if mending := prose(remedy, 1000):
        blocks.append(context(mending))
    return Message(_capital(shown), tuple(blocks))


def notice(said: str) -> Message:
    """Render a plain success message, e.g. "kept; it waits for the backend"."""
    shown = _capital(prose(said, 1500)) or "Done."
    return Message(shown, (section(shown),))


def did_you_mean(said: str, commands: Sequence[str]) -> Message:
    """Render an error with suggested commands, each run by a click.

    Args:
        commands: complete texts after the slash command, e.g. "deploy shop/web".
    """
    shown = _capital(prose(said, 1000)) or NOTHING
    fitting = [one for one in commands if clean(one) == one and 0 < len(one) <= 200]
    blocks: list[Block] = [section(f":thinking_face:  {shown}")]
    if fitting:
        blocks.append(context("Did you mean"))
    blocks += [
        section(code(f"{COMMAND} {one}", 250), button("Run", names.SUGGEST_RUN, one))
        for one in fitting[:MOST_SUGGESTED]
    ]
    meant = ", ".join(escape(one, 100) for one in fitting[:MOST_SUGGESTED])
    return Message(f"{shown} Did you mean {meant}?" if meant else shown, tuple(blocks))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
