"""What people and programs read of a preview, at every door alike."""

from dataclasses import replace
from itertools import product

from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.githosts.feedback.comment import render_comment
from bridge.ports.feedback import Snapshot
from bridge.views.previews import Standing
from bridge.views.pull_requests import preview_row
from bridge.views.values import Look
from tests.fakes.journey import app, deployment
from tests.scenes.pulls import PULL, preview
from tests.worlds.rows import each_row

HEAD, OLD = PULL.head_sha, "d" * 40
WEB = app("app-web")
MADE = "pr-app-web"


def said(one: Preview, newest: Deployment | None, served: Deployment | None) -> set[str]:
    """Return the doors that say that it is up."""
    deployments = (newest,) if newest else ()
    known = {MADE: served} if served else {}
    comment = render_comment(Snapshot((), deployments, previews=(one,), served=known), "i")
    found = {
        "first line": "Preview up" in comment,
        "table": "✅ up" in comment,
        "JSON": Standing(one, newest, served).form["state"] == "up",
        "chat": preview_row(one, newest, served).look is Look.UP,
    }
    return {door for door, up in found.items() if up}


@each_row("state", list(State))
def test_a_preview_is_up_only_once_its_newest_commit_is(state: State) -> None:
    live = state in (State.DONE, State.UNHEALTHY)
    newest = deployment(2, MADE, state=state, deployed_commit=HEAD if live else None)
    for stands, asked in product(PreviewState, (HEAD, OLD, None)):
        one = replace(preview(WEB, stands), made=MADE, asked=asked)
        up = stands is PreviewState.UP and asked == HEAD and state is State.DONE

        told = said(one, newest, newest if live else None)

        assert told == ({"first line", "table", "JSON", "chat"} if up else set()), (stands, asked)


@each_row(
    ("asked", "state", "still"),
    [
        (OLD, State.DONE, True),  # the newest commit is not asked for yet
        (HEAD, State.FAILED, True),
        (HEAD, State.CANCELLED, True),
        (HEAD, State.RUNNING, False),
        (HEAD, State.DONE, False),
    ],
)
def test_the_version_that_stays_up_is_named(asked: str, state: State, *, still: bool) -> None:
    served = deployment(1, MADE, state=State.DONE, deployed_commit=OLD)
    newest = deployment(2, MADE, state=state, deployed_commit=None)
    one = replace(preview(WEB), made=MADE, asked=asked)
    told = Snapshot((), (newest,), previews=(one,), served={MADE: served})

    assert (f"{OLD[:7]} is still up" in render_comment(told, "i")) is still
    assert (f"{OLD[:7]} is still up" in Standing(one, newest, served).why) is still
    assert (f"{OLD[:7]} is still up" in preview_row(one, newest, served).verdict) is still


def test_a_preview_that_ends_leads_to_no_page() -> None:
    served = deployment(1, MADE, state=State.DONE, deployed_commit=OLD)
    for state in (PreviewState.ENDING, PreviewState.ENDED):
        one = replace(preview(WEB, state), made=MADE, url="https://pr-12.example.com")
        told = Snapshot((), (served,), previews=(one,), served={MADE: served})
        assert "Visit]" not in render_comment(told, "i")


def test_the_comment_names_the_commit_that_is_up() -> None:
    newer = "e" * 40  # the branch moved before the build began
    newest = deployment(2, MADE, state=State.DONE, deployed_commit=newer)
    one = replace(preview(WEB), made=MADE)
    told = Snapshot((), (newest,), previews=(one,), served={MADE: newest})

    assert f"| {newer[:7]} |" in render_comment(told, "i")
