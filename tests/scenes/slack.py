"""What Slack is shown, scene by scene: the golden files in `tests/fixtures/slack/golden`.

After a change of what is shown, write them anew, and look at the difference:

    python -m tests.scenes.slack
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bridge.chats.slack import answers as replies
from bridge.chats.slack import home, pickers
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.dialogs import dialog_of
from bridge.chats.slack.help import HELP, help_about
from bridge.chats.slack.render import outgoing
from bridge.chats.slack.views import message_of
from bridge.core.access import Access, Person, Right, granting, missing
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.configuration.difference import Changed
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.gates.promotion import Promotion
from bridge.core.health.rollback import Rung, Version, WayBack
from bridge.core.health.serving import Behind, Serving, with_branch
from bridge.core.lifecycle import Change, Deployment, NoteKind, State, Verdict
from bridge.core.masking import redact
from bridge.core.people import Actor
from bridge.core.pins import pin_for
from bridge.core.report import report_of
from bridge.operations import auditing, build_logs, reasons
from bridge.operations.arguments import Known
from bridge.operations.calls import asking
from bridge.operations.every import OPERATIONS
from bridge.operations.words import usages
from bridge.pipeline.deploying.rollback_plan import Plan
from bridge.pipeline.feedback.build_logs import BuildLog
from bridge.ports.outcomes import Audited, Explained
from bridge.views import apps, figures
from bridge.views import deploying as views
from bridge.views.deployment_lists import listed, shown
from bridge.views.links import NOTHING_KNOWN, Around
from bridge.views.reading import identity
from bridge.views.view import View
from tests.scenes.shop import (
    API,
    DOCS,
    HARD,
    HELD_HARD,
    HOSTILE,
    LINKS,
    LOG,
    LONGEST,
    NOTES,
    OF_AN_IMAGE,
    OTHER,
    SEEN,
    TIMES,
    WEB,
    deployment,
    fates,
    held,
    now,
)
from tests.scenes.slack_gates import (
    APPROVAL,
    CHECKS,
    EVERY,
    LOCK,
    NOON,
    PUSHED,
    SCHEDULE,
    gate_scenes,
)
from tests.scenes.slack_provider import provider_scenes
from tests.scenes.slack_pulls import pull_scenes
from tests.worlds.messages import render_card, render_line

GOLDEN = Path(__file__).parents[1] / "fixtures" / "slack" / "golden"

Scene = Callable[[], Message | dict[str, Any]]


def _card(one: Deployment, app: App | None = WEB, **more: Any) -> Scene:
    around = now(one, more.pop("around", NOTHING_KNOWN))
    return lambda: render_card(one, app, links=LINKS, around=around, **more)


def cards() -> Iterator[tuple[str, Scene]]:
    """The live card, in every state and where it is hard to keep in form."""
    for state in State:
        yield f"card_{state}", _card(deployment(state))
    yield (
        "card_superseded_with_link",
        _card(
            deployment(State.SUPERSEDED),
            superseded_by="https://acme.slack.com/archives/C0123ABCD/p1780000000000100",
        ),
    )
    note = "waits for the backend: dokploy can't be reached (ConnectError)"
    yield (
        "card_waits_for_the_backend",
        _card(deployment(State.WAITING, note=note, note_kind=NoteKind.AWAY)),
    )
    other = deployment(
        deployed_commit=OTHER, note="commit 9ab41c7 is live, not 13dfa1f", note_kind=NoteKind.LIVE
    )
    yield "card_other_commit_is_live", _card(other)
    tag = deployment(
        app=API, ref="refs/tags/v2.4.0", trigger="tag", message="Release 2.4.0", author="Grace"
    )
    yield "card_tag", _card(tag, API)
    asked: dict[str, Any] = {"ref": None, "commit": None, "message": None, "author": None}
    by_chat = deployment(
        action=Action.REDEPLOY,
        trigger="slack: Grace Hopper",
        deployed_commit=None,
        note="rebuilt what was checked out; nothing was fetched",
        **asked,
    )
    yield "card_redeploy_from_chat", _card(by_chat)
    by_person = deployment(
        trigger="cli: ada",
        deployed_commit=OTHER,
        note="commit 9ab41c7 is live",
        note_kind=NoteKind.LIVE,
        **asked,
    )
    yield "card_asked_from_the_command_line", _card(by_person)
    image = deployment(
        note="image ghcr.io/acme/shop:2.4.0 is live; verified",
        note_kind=NoteKind.LIVE,
        **OF_AN_IMAGE,
    )
    yield "card_image", _card(image)
    longest = f"{HOSTILE * 9}@sha256:{'5' * 64}"
    yield "card_image_hardest", _card(replace(image, state=State.RUNNING, image=longest))
    yield "card_app_is_gone", _card(deployment(), None)
    around = Around((7,), OTHER)
    for state in (State.RUNNING, State.DONE, State.FAILED):
        yield (
            f"card_{state}_with_links",
            _card(deployment(state), SEEN, around=around),
        )
    for name, one, told in fates():
        yield f"card_{name}", _card(one, SEEN, around=told)
    yield "card_held_by_a_lock", _card(held(LOCK))
    yield "card_held_by_all", _card(held(*EVERY))
    yield (
        "card_held_until_a_time",
        _card(held(SCHEDULE, trigger="slack: Ada Lovelace")),
    )
    yield "card_hardest", _card(HARD, LONGEST)
    yield "card_held_hardest", _card(HELD_HARD, LONGEST)


def _line(one: Deployment, change: Change) -> Message:
    return render_line(one, change).message


def lines() -> Iterator[tuple[str, Scene]]:
    """The thread."""
    for state in State:
        one, change = (
            deployment(state),
            Change(NOON + TIMES[state], state, NOTES[state], deployment(state).note_kind),
        )
        yield f"line_{state}", partial(_line, one, change)
    failed = deployment(State.FAILED)
    change = Change(NOON + 76, State.FAILED, NOTES[State.FAILED])
    yield (
        "line_failed_with_log",
        lambda: (
            render_line(
                failed,
                change,
                log_tail=LOG,
                author_id="U0123ABCD",
                app=SEEN,
                links=LINKS,
                around=Around((7,), OTHER),
            ).message
        ),
    )
    hard = replace(HARD, state=State.FAILED)
    yield (
        "line_hardest",
        lambda: (
            render_line(
                hard,
                Change(NOON, State.FAILED, HOSTILE * 9),
                log_tail=f"{HOSTILE * 40}\n" * 400,
                author_id="<!channel>",
            ).message
        ),
    )


def many(number: int) -> list[App]:
    """So many apps, in projects of ten."""
    return [
        replace(WEB, id=f"app{n:018d}", name=f"service-{n:03d}", project=f"team-{n // 10:02d}")
        for n in range(number)
    ]


def busy(apps: list[App]) -> list[Deployment]:
    """Deployments of these apps, newest first: every third is at rest, some move, some fail."""
    states = [State.DONE, State.RUNNING, State.FAILED, State.WAITING, State.UNKNOWN]
    found = [
        deployment(states[n % 5] if n % 17 < 5 else State.DONE, app, 1000 - n)
        for n, app in enumerate(apps)
        if n % 3
    ]
    return sorted(found, key=lambda one: one.id, reverse=True)


def _asking(name: str, chosen: App | None = None) -> dict[str, Any]:
    asked = asking(OPERATIONS[name], Call(name, {}))
    return dialog_of(asked, LINKS, "C012AB3CD", chosen)


def modals() -> Iterator[tuple[str, Scene]]:
    """Modals and what their picker offers."""
    for name in ("deploy", "redeploy", "cancel", "lock"):
        yield f"modal_pick_{name}", partial(_asking, name)
    yield "modal_pick_deploy_chosen", lambda: _asking("deploy", LONGEST)
    yield "options_three", lambda: pickers.offered([WEB, API, DOCS])
    yield "options_of_200", lambda: pickers.offered(many(200))
    yield "options_typed", lambda: pickers.offered(many(200), "service-01")
    yield "options_none", lambda: pickers.offered(many(3), "zzz")
    yield "options_longest", lambda: pickers.offered([LONGEST])
    yield "modal_log", lambda: _log(WEB, deployment(State.FAILED), LOG.split("\n"))
    yield "modal_log_long", lambda: _log(LONGEST, HARD, [HOSTILE] * 900)
    yield "modal_log_empty", lambda: _log(WEB, deployment(State.RUNNING), [])


def _log(app: App, one: Deployment, lines: Sequence[str]) -> Any:
    status = "error" if one.state is State.FAILED else "running"
    log = BuildLog(app, "4qYzJ5bT", status, NOON, None, tuple(map(redact, lines)), one)
    return dialog_of(build_logs.shown(log), LINKS, "C024BE91L")


def explained() -> list[Explained]:
    """Three decisions about one app."""

    def one(n: int, reason: Reason, evidence: str, **fields: Any) -> Explained:
        about = {"delivery": "d", "ref": "refs/heads/main", "commit": PUSHED} | fields
        return Explained(n, NOON - n, Decision(WEB.id, WEB.label, reason, evidence), **about)

    return [
        one(3, Reason.PATH_HIT, "apps/web/index.html matches apps/web/**"),
        one(2, Reason.NO_PATH_HIT, "1 file changed, none matches apps/web/**, packages/**"),
        one(1, Reason.CANCEL_ASKED, "cancelled by Grace Hopper", ref=None, commit=None),
        one(1, Reason.ASKED, "slack: Grace Hopper asked for a deploy", ref=None, commit=None),
    ]


def answered() -> Iterator[tuple[str, Scene]]:
    """What commands are answered with."""
    newest = [deployment(State.DONE), deployment(State.FAILED, seq=40)]
    crowd = many(200)
    status, all_ = partial(apps.status, remarks=()), apps.status_of_all
    trouble = [("dokploy can't be read: it is away",)]
    yield "status_done", lambda: message_of(status(WEB, newest[0], None), LINKS)
    yield "status_running", lambda: message_of(status(WEB, deployment(State.RUNNING), None), LINKS)
    verifying = deployment(State.VERIFYING)
    yield "status_verifying", lambda: message_of(status(WEB, verifying, None), LINKS)
    yield "status_never", lambda: message_of(status(API, None, None), LINKS)
    yield "status_live", lambda: message_of(status(WEB, newest[0], _live()[WEB.id]), LINKS)
    yield "status_hardest", lambda: message_of(status(LONGEST, HARD, None), LINKS)
    going = [one for one in busy(crowd) if not one.final]
    yield "status_all", lambda: message_of(all_(crowd, going, _last(busy(crowd)), trouble), LINKS)
    yield (
        "status_all_quiet",
        lambda: message_of(all_([WEB, API], [], _last(newest[:1]), ()), LINKS),
    )
    yield "status_all_none", lambda: message_of(all_([], [], {}, ()), LINKS)
    yield "history", lambda: message_of(listed(newest, {}, WEB), LINKS)
    yield "history_long", lambda: message_of(listed([HARD] * 40, {}, LONGEST), LINKS)
    yield "history_none", lambda: message_of(listed([], {}, DOCS), LINKS)
    image = deployment(State.DONE, **OF_AN_IMAGE)
    yield "history_of_an_image", lambda: message_of(listed([image], {}, WEB), LINKS)
    failed = deployment(State.FAILED, log_tail=LOG)
    yield (
        "deployment",
        lambda: message_of(
            shown(failed, None, [Change(NOON, State.FAILED, NOTES[State.FAILED])]), LINKS
        ),
    )
    change = Changed("branch", "main", HOSTILE)
    audited = [Audited(NOON, Actor("cli", "ada"), "provider set", WEB.id, WEB.label, (change,))]
    yield "audit", lambda: message_of(auditing.listed(audited), LINKS)
    report = report_of([], NOON - 60, NOON)
    some = replace(report, apps={WEB.label: report.all})
    help_ = "`/dokploy help report`"
    figured = figures.report(some, is_cut=False, help_=help_, remarks=())
    yield "report", lambda: message_of(figured, LINKS)
    yield "status_held", lambda: message_of(status(WEB, held(LOCK, APPROVAL), None), LINKS)
    waits = [held(LOCK, CHECKS), held(APPROVAL, app=DOCS), deployment(State.RUNNING, API)]
    three = [WEB, API, DOCS]
    yield "status_all_held", lambda: message_of(all_(three, waits, _last(waits), ()), LINKS)
    yield "apps_held", lambda: message_of(_listed(three, waits), LINKS)
    known, failed = Known(WEB), replace(deployment(State.FAILED), log_tail=LOG)
    holds = {3: held(LOCK, CHECKS)}
    why = partial(reasons.explained, known, explained(), {3: failed})
    yield "why_held", lambda: message_of(reasons.explained(known, explained()[:1], holds), LINKS)
    yield "why", lambda: message_of(why(), LINKS)
    yield "why_nothing", lambda: message_of(reasons.nothing(API), LINKS)
    yield "apps", lambda: message_of(_listed(three, newest), LINKS)
    yield "apps_live", lambda: message_of(_listed(three, newest, _live()), LINKS)
    asked = Call("apps", {}, "apps service")
    page_2 = replace(_listed(crowd, busy(crowd)), call=asked, page=2)
    yield "apps_200_page_2", lambda: message_of(page_2, LINKS)
    yield "apps_none_fits", lambda: message_of(_listed([], []), LINKS)
    most = {LONGEST.id: with_branch(Serving(replace(HARD, live_at=NOON)), Behind(3, 2))}
    yield "apps_longest_live", lambda: message_of(_listed([LONGEST] * 30, [HARD], most), LINKS)
    yield "apps_longest", lambda: message_of(_listed([LONGEST] * 30, [HARD]), LINKS)


def _listed(
    those: Sequence[App],
    newest: Sequence[Deployment],
    live: Mapping[str, Serving] = MappingProxyType({}),
) -> View:
    return apps.listed(those, _last(newest), live, f"no app has {HOSTILE!r} in its name", ())


def _last(newest: Sequence[Deployment]) -> dict[str, Deployment]:
    return {one.app_id: one for one in reversed(newest)}


ADA = Person("U0123ABCD", "Ada Lovelace")
WHY = missing(Access(()), ADA, Right.DEPLOY, WEB.label)
GRANT = granting(ADA, Right.DEPLOY, WEB.label)


def replied() -> Iterator[tuple[str, Scene]]:
    """What the door says by itself."""
    yield "help", lambda: help_about(None, usages())
    for one in (*HELP, *usages()):
        yield f"help_{one.name}".replace(" ", "_"), partial(help_about, one.name, usages())
    rights = {
        Right.VIEW: ["shop/web", "shop/staging/api", "site/docs"],
        Right.DEPLOY: ["shop/web"],
        Right.CANCEL: ["shop/web"],
        Right.CONFIGURE: [],
    }
    yield "whoami", lambda: message_of(identity(ADA, rights), LINKS)
    lots = {Right.VIEW: [app.label for app in many(200)], Right.DEPLOY: [LONGEST.label] * 20}
    yield "whoami_of_200", lambda: message_of(identity(Person("U1", HOSTILE), lots), LINKS)
    yield (
        "refused",
        lambda: replies.refused("deploy", "shop/web", why=WHY, grant=GRANT),
    )
    yield "refused_hardest", lambda: replies.refused(HOSTILE, HOSTILE, why=HOSTILE, grant=HOSTILE)
    yield (
        "problem",
        lambda: replies.problem(
            "shop/web deploys main, so feature/x can't be deployed.",
            remedy="Change its branch with /provider shop/web, or leave @feature/x out.",
        ),
    )
    yield "notice", lambda: replies.notice("kept; it waits for the backend")
    yield (
        "did_you_mean",
        lambda: replies.did_you_mean(
            "there is no app 'wbe'.", ["deploy shop/web", "deploy shop/staging/api"]
        ),
    )
    yield "did_you_mean_hardest", lambda: replies.did_you_mean(HOSTILE, [HOSTILE, "deploy a"] * 9)


def accepted() -> Iterator[tuple[str, Scene]]:
    """That what was asked for is kept."""

    def kept(action: Action, app: App = WEB, **others: Any) -> Scene:
        plain: dict[str, Any] = {"duplicate": False, "channels": (), "trouble": None}
        plain |= {"at": None, "zone": ""}
        reply = views.kept(app, action, "slack-1", **(plain | others))
        return lambda: outgoing(reply, LINKS, {"C024BE91L"}).message

    away = "dokploy can't be reached: ConnectError"
    yield "accepted", kept(Action.DEPLOY, channels=("C024BE91L",))
    yield "accepted_cancel", kept(Action.CANCEL)
    yield "accepted_elsewhere", kept(Action.REDEPLOY, channels=("C0DEPLOYS", "#ops"))
    yield "accepted_again", kept(Action.DEPLOY, duplicate=True)
    here, night = ("C024BE91L",), NOON + 8 * 3600
    yield "accepted_later", kept(Action.DEPLOY, channels=here, at=night, zone="Europe/Berlin")
    yield "accepted_waits", kept(Action.DEPLOY, trouble=away)
    yield (
        "accepted_hardest",
        kept(Action.REDEPLOY, LONGEST, channels=("#" + HOSTILE,) * 5, trouble=HOSTILE * 20),
    )


def promoted() -> Iterator[tuple[str, Scene]]:
    """What a promotion would bring."""
    pinned = replace(WEB, source=replace(WEB.source, branch=pin_for(WEB)) if WEB.source else None)
    newest = deployment(seq=41, deployed_commit=PUSHED)
    older = deployment(
        seq=40, deployed_commit=OTHER, message="Show prices with tax", author="Grace Hopper"
    )
    found = Promotion(API, pinned, newest, Rung.PIN, Version.of(older), (newest, older))

    def offered(found: Promotion) -> Scene:
        call = Call("promote", {"app": found.to.id, "source": found.from_.id, "seen": "pin 1"})
        return lambda: outgoing(views.promotion_asked(found, call, None), LINKS).message

    yield "promotion", offered(found)
    unknown = replace(found, rung=Rung.IMAGE, news=None, version=replace(newest, image="shop/web"))
    yield "promotion_of_an_image", offered(unknown)
    hard = replace(HARD, author=HOSTILE, deployed_commit=PUSHED)
    worst = replace(found, to=LONGEST, from_=LONGEST, version=hard, news=(hard,) * 50)
    yield "promotion_hardest", offered(worst)
    there = deployment(State.DONE, API, 41).id
    by_ada = deployment(trigger="slack: Ada Lovelace (U0ADA)", target=there, way=Rung.PIN)
    yield "card_promoted", _card(by_ada)


OLDER = deployment(seq=39, deployed_commit=OTHER)
"""The version to go back to."""


def _rollback(state: State, note: str, **fields: Any) -> Deployment:
    """A rollback that a person has asked for."""
    asked = {"trigger": "slack: Ada Lovelace (U0ADA)", "target": OLDER.id, "way": Rung.KEPT}
    back = {"ref": None, "commit": None, "message": None, "author": None, "backend_id": None}
    fields = asked | back | {"deployed_commit": OTHER} | fields
    return deployment(state, seq=42, action=Action.ROLLBACK, note=note, **fields)


def gone_back() -> Iterator[tuple[str, Scene]]:
    """The way back as it is offered, and the cards of rollbacks."""
    bad = deployment(State.UNHEALTHY)
    way = WayBack(Rung.KEPT, OLDER, point="r1")
    plan = Plan(WEB, way, Version.of(bad), True, (), locks=True)

    def offer(app: App, plan: Plan) -> Scene:
        call = Call("rollback", {"app": app.id, "seen": f"{plan.way.rung} {plan.way.to.id}"})
        says, warns = plan.says, plan.warns
        asked = views.rollback_asked(app, plan.way, plan.served, says, warns, (), call)
        return lambda: outgoing(asked, LINKS).message

    yield "rollback_offer", offer(WEB, plan)
    yield "card_last_good", _card(deployment(State.DONE), around=Around(last_good=True))
    image = replace(OLDER, deployed_commit=None, image=HOSTILE)
    building = replace(HARD, intent_at=1.0)
    hard = WayBack(Rung.IMAGE, image, image=HOSTILE)
    worst = Plan(LONGEST, hard, Version.of(HARD), True, (building,), locks=True)
    yield "rollback_offer_hardest", offer(LONGEST, worst)
    served = f"{OTHER[:7]} is served again, as it was built then"
    untold = "not verified: the app has no address, and its backend shows no containers"
    refused = "refused by dokploy: Error input: Rolling back; either it no longer has that version,"
    refused += " or the key's user may not reach the app: look at the app's deployments in Dokploy"
    for state, note in (
        (State.VERIFYING, served),
        (State.DONE, f"{served}; verified"),
        (State.UNKNOWN, f"{served}; {untold}"),
        (State.UNHEALTHY, f"{served}, but GET https://web.example.com/healthz: 502 Bad Gateway"),
        (State.FAILED, refused),
    ):
        kind = None if state is State.FAILED else NoteKind.AGAIN
        yield f"card_rollback_{state}", _card(_rollback(state, note, note_kind=kind))
    by_itself = f"it goes back to {OTHER[:7]} by itself"
    note = f"{NOTES[State.UNHEALTHY]}; {by_itself}"
    bad = deployment(State.UNHEALTHY, note=note, way_back=by_itself)
    yield "card_unhealthy_rolled_back", _card(bad)


def gates() -> Iterator[tuple[str, Scene]]:
    """What commands about gates are answered with, and the dialog that asks why."""
    running = deployment(State.RUNNING, replace(API, environment=None), 42)
    return gate_scenes(LINKS, WEB, held, running, HARD, HELD_HARD, HOSTILE)


def _live() -> Mapping[str, Serving]:
    """What apps serve: after a rollback and two pushes, an image, and what is not known."""
    back = deployment(
        State.DONE, seq=41, action=Action.ROLLBACK, trigger="slack: Grace Hopper (U061F7AUR)",
        note="as then; verified", live_at=NOON, verdict=Verdict.VERIFIED,
    )  # fmt: skip
    left = deployment(State.UNHEALTHY, seq=40, deployed_commit="7" * 40, live_at=NOON - 600)
    image = deployment(State.DONE, API, deployed_commit=None, image="nginx:1.27", live_at=NOON)
    unknown = deployment(State.UNKNOWN, DOCS, seq=44, finished_at=NOON)
    before = deployment(State.DONE, DOCS, seq=40, live_at=NOON - 600)
    return {
        WEB.id: with_branch(Serving(back, left), Behind(3, 2)),
        API.id: Serving(image),
        DOCS.id: with_branch(Serving(before, None, unknown), None),
    }


def homes() -> Iterator[tuple[str, Scene]]:
    """App Home."""
    three, crowd = [WEB, API, DOCS], many(200)
    now = [
        deployment(State.RUNNING, DOCS, 44, message="Explain refunds", author="Grace Hopper"),
        deployment(State.FAILED, API, 43, ref="refs/tags/v2.4.0", message="Release 2.4.0"),
        deployment(State.DONE, WEB, 42),
    ]
    stopped = [held(LOCK, APPROVAL, seq=45), *now[1:]]
    yield "home_held", lambda: home.render_home(three, stopped, links=LINKS)
    yield "home_live", lambda: home.render_home(three, now, live=_live(), links=LINKS)
    yield "home_none", lambda: home.render_home([], [], links=LINKS)
    yield "home_quiet", lambda: home.render_home([WEB], [deployment()], links=LINKS)
    yield (
        "home_3",
        lambda: home.render_home(
            three, now, warnings=["No push to acme/shop has arrived for 30 days."], links=LINKS
        ),
    )
    yield (
        "home_may_only_look",
        lambda: home.render_home(three, now, deployable=(), configurable=(), links=LINKS),
    )
    yield (
        "home_200_page_3",
        lambda: home.render_home(crowd, busy(crowd), shown=home.Shown(3), links=LINKS),
    )
    yield (
        "home_200_one_project",
        lambda: home.render_home(crowd, busy(crowd), shown=home.Shown(9, "team-07"), links=LINKS),
    )
    crowded = [replace(HELD_HARD, id=f"h{n}", app_id=app.id) for n, app in enumerate(crowd)]
    yield "home_held_200", lambda: home.render_home(crowd, crowded, links=LINKS)
    longest = [replace(LONGEST, id=f"long{n}", auto_deploy=True) for n in range(40)]
    hardest = [replace(HARD, id=f"hard{n}", app_id=app.id) for n, app in enumerate(longest)]
    yield (
        "home_hardest",
        lambda: home.render_home(longest, hardest, warnings=[HOSTILE] * 9, links=LINKS),
    )


def providers() -> Iterator[tuple[str, Scene]]:
    """The modals that configure an app."""
    return provider_scenes(WEB, DOCS, LONGEST, HOSTILE)


def pulls() -> Iterator[tuple[str, Scene]]:
    """Pull requests with previews."""
    return pull_scenes(deployment, WEB, API, LONGEST, HOSTILE, LINKS)


def scenes() -> dict[str, Scene]:
    """All scenes by name."""
    of_cards = (cards, lines, promoted, gone_back, gates)
    parts = (*of_cards, modals, answered, replied, accepted, homes, providers, pulls)
    return {name: scene for part in parts for name, scene in part()}


def plain(shown: Message | dict[str, Any]) -> dict[str, Any]:
    """What is sent, as JSON has it."""
    return shown.body() if isinstance(shown, Message) else shown


def written(shown: Message | dict[str, Any]) -> str:
    """A golden file's text."""
    return json.dumps(plain(shown), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all golden files anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for old in GOLDEN.glob("*.json"):
        old.unlink()
    for name, scene in scenes().items():
        (GOLDEN / f"{name}.json").write_text(written(scene()))


if __name__ == "__main__":
    main()
