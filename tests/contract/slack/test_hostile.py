"""Whatever people, hosts and builds write: what is shown is within all limits and calls nobody."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View as SlackView

from bridge.chats.slack import answers as replies
from bridge.chats.slack import home, pickers
from bridge.chats.slack.dialogs import dialog_of
from bridge.chats.slack.help import help_about
from bridge.chats.slack.views import message_of
from bridge.core.access import Person, Right
from bridge.core.apps import App, Source, SourceType
from bridge.core.chat.calls import Call
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.people import Origin
from bridge.operations import build_logs, reasons
from bridge.operations.arguments import Known
from bridge.pipeline.feedback.build_logs import BuildLog
from bridge.ports.outcomes import Explained
from bridge.views.apps import listed as app_list
from bridge.views.apps import status, status_of_all
from bridge.views.deployment_lists import listed
from bridge.views.reading import identity
from bridge.views.view import Ask, Field, View
from tests.oracles.slack_rules import faults
from tests.scenes.shop import HOSTILE, links_to
from tests.worlds.messages import render_card, render_line

APP = Field("app", "app", "Its label.", Right.DEPLOY)
ASK = Ask(Call("deploy", {}), "Deploy?", "Deploy", lacks=(APP,))

GENTLY = settings(max_examples=40)

LINKS = links_to("https://git.example/", "https://gitlab.example")
LONG = st.builds(lambda text, times: text * times, st.text(max_size=30), st.integers(1, 400))
WORDS = st.text(max_size=40) | LONG | st.sampled_from([HOSTILE, "", " ", "\u200b", "🚀" * 900])
SHAS = st.none() | st.from_regex(r"[0-9a-f]{40}", fullmatch=True) | WORDS
TIMES = st.none() | st.floats(0, 4e9)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True)

SOURCES = st.builds(
    Source,
    type=st.sampled_from(SourceType),
    repository=st.none() | WORDS,
    url=st.none() | WORDS | WORDS.map(lambda text: f"git.example/{text}"),
    branch=st.none() | WORDS,
    image=st.none() | WORDS,
)
APPS = st.builds(
    App,
    id=IDS,
    name=WORDS,
    project=WORDS,
    environment=st.none() | WORDS,
    source=st.none() | SOURCES,
    watch_paths=st.none() | st.lists(WORDS, max_size=5).map(tuple),
    auto_deploy=st.booleans(),
)
DEPLOYMENTS = st.builds(
    Deployment,
    id=IDS,
    seq=st.integers(0, 10**15),
    delivery=WORDS,
    app_id=IDS,
    app=WORDS,
    action=st.sampled_from([Action.DEPLOY, Action.REDEPLOY]),
    origin=(st.sampled_from(["push", "tag"]) | WORDS.map(lambda who: f"slack: {who}") | WORDS).map(
        Origin.read
    ),
    state=st.sampled_from(State),
    created_at=st.floats(0, 4e9),
    ref=st.none() | WORDS | WORDS.map(lambda name: f"refs/tags/{name}"),
    commit=SHAS,
    message=st.none() | WORDS,
    author=st.none() | WORDS,
    note=WORDS,
    backend_id=st.none() | WORDS,
    deployed_commit=SHAS,
    asked_at=TIMES,
    started_at=TIMES,
    finished_at=TIMES,
)


def fits(*shown: object) -> None:
    """All of it keeps the rules, and Slack's SDK takes it."""
    for one in shown:
        sent = one if isinstance(one, dict) else one.body()  # type: ignore[attr-defined]
        assert faults(sent) == []
        if "type" in sent:
            assert SlackView(**sent).to_dict() == sent
        elif "blocks" in sent:
            assert [block.to_dict() for block in Block.parse_all(sent["blocks"])] == sent["blocks"]


@given(deployment=DEPLOYMENTS, app=st.none() | APPS, link=WORDS)
@GENTLY
def test_any_deployment_has_its_card(deployment: Deployment, app: App | None, link: str) -> None:
    by = f"https://acme.slack.com/{link[:200]}"

    fits(render_card(deployment, app, links=LINKS, superseded_by=by))


@given(
    deployment=DEPLOYMENTS,
    app=APPS,
    note=WORDS,
    log=WORDS,
    author=WORDS,
    state=st.sampled_from(State),
)
@GENTLY
def test_any_change_has_its_line(
    deployment: Deployment, app: App, note: str, log: str, author: str, state: State
) -> None:
    change = Change(0, state, note)

    fits(
        render_line(deployment, change, log_tail=log, author_id=author).message,
        dialog_of(
            build_logs.shown(BuildLog(app, note, "error", 0, None, (log,), deployment)), LINKS, "C0"
        ),
    )


@given(app=APPS, deployments=st.lists(DEPLOYMENTS, max_size=4), reason=st.sampled_from(Reason))
@GENTLY
def test_any_app_has_its_answers(app: App, deployments: list[Deployment], reason: Reason) -> None:
    text = deployments[0].note if deployments else ""
    one = Explained(1, 0, Decision(app.id, app.label, reason, text), "d", text, text)

    fits(
        message_of(status(app, deployments[0] if deployments else None, None, ()), LINKS),
        message_of(listed(deployments, {}, app), LINKS),
        message_of(reasons.explained(Known(app), [one], dict(enumerate(deployments, 1))), LINKS),
        dialog_of(View((), asks=ASK), LINKS, "C012AB3CD", app),
    )


@given(apps=st.lists(APPS, max_size=6, unique_by=lambda app: app.id), data=st.data())
@settings(GENTLY, max_examples=25)
def test_any_apps_have_their_lists(apps: list[App], data: st.DataObject) -> None:
    found = data.draw(st.lists(DEPLOYMENTS, max_size=6))
    of_them = [replace(one, app_id=apps[n % len(apps)].id) for n, one in enumerate(found) if apps]
    last = {one.app_id: one for one in of_them}
    text = data.draw(WORDS)
    shown = home.Shown(data.draw(st.integers(-2, 9)), text)

    fits(
        home.render_home(apps, of_them, shown=shown, warnings=[text], links=LINKS),
        message_of(status_of_all(apps, of_them, last, ()), LINKS),
        message_of(replace(app_list(apps, last, {}, text, ()), page=3), LINKS),
        pickers.offered(apps, text),
    )


@given(text=WORDS, other=WORDS)
@GENTLY
def test_any_words_have_their_reply(text: str, other: str) -> None:
    fits(
        replies.refused(text, other, why=text, grant=other),
        replies.problem(text, remedy=other),
        replies.notice(text),
        replies.did_you_mean(text, [other, text]),
        message_of(identity(Person(text), {Right.VIEW: [text], Right.DEPLOY: []}), LINKS),
        help_about(text),
    )
