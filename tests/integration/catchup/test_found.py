"""What no webhook has brought is found where a ref has moved."""

from dataclasses import replace

import pytest

from bridge.core.apps import Rules, Source, SourceType
from bridge.core.decision import Decision, Reason, decide
from bridge.core.events import FOUND_EVENT, Commit, Ref, RefKind, Repository, parse_found
from bridge.pipeline.deciding.reconcile import wanted_of
from bridge.ports.outcomes import Outcome, PushSeen
from tests.fakes.journey import app, deployment
from tests.worlds.catchup import MAIN, TAGGED, A, B, C, Scene


async def test_a_head_that_no_webhook_has_told_of_is_kept_as_a_push_once(scene: Scene) -> None:
    scene.api.heads["main"] = A
    assert await scene.looks(app()) == 0  # it is seen for the first time
    await scene.decided(MAIN, C, A)
    await scene.looks(app())
    scene.api.heads["main"] = B

    assert await scene.looks(app()) == 1
    assert await scene.looks(app()) == 0

    (kept,) = await scene.kept()
    push = parse_found(kept.body)
    assert (kept.host, kept.event) == ("github", FOUND_EVENT)
    assert (push.repository, push.ref) == (
        Repository("github", "4711", "my-org/mono"),
        Ref(RefKind.BRANCH, "main"),
    )
    assert (push.before, push.after, push.commit) == (A, B, Commit(B, "feat: something", "Ada"))
    assert (push.paths, push.found) == (None, True)


@pytest.mark.parametrize(
    ("parents", "reason"),
    [
        ((A,), Reason.SKIP_DIRECTIVE),
        ((A, C), Reason.SKIP_DIRECTIVE),  # a merge
        ((C,), Reason.PATHS_UNKNOWN),  # somebody's push lies between
        ((C, A), Reason.PATHS_UNKNOWN),
        ((), Reason.PATHS_UNKNOWN),
    ],
)
async def test_a_head_that_asks_to_be_skipped_speaks_for_no_push_but_its_own(
    scene: Scene, parents: tuple[str, ...], reason: Reason
) -> None:
    waits = app(watch_paths=("web/**",))
    scene.api.heads["main"] = A
    await scene.decided(MAIN, C, A)
    scene.api.heads["main"] = B
    scene.api.commits[B] = Commit(B, "chore: notes [skip ci]", "Ada", parents=parents)

    await scene.looks(waits)

    (kept,) = await scene.kept()
    assert decide(parse_found(kept.body), waits).reason is reason


async def test_a_branch_that_goes_forth_and_back_and_forth_again_is_found_each_time(
    scene: Scene,
) -> None:
    await scene.decided(MAIN, C, A)
    for before, after in ((A, B), (B, A), (A, B)):
        scene.api.heads["main"] = after
        assert await scene.looks(app()) == 1
        await scene.decided(MAIN, before, after)

    assert [parse_found(kept.body).after for kept in await scene.kept()] == [B, A, B]


async def test_a_branch_that_is_gone_is_no_push(scene: Scene) -> None:
    await scene.decided(MAIN, C, A)
    scene.api.heads["main"] = None

    assert await scene.looks(app()) == 0


async def test_tags_that_came_without_events_are_found_once_and_old_ones_never(
    scene: Scene,
) -> None:
    scene.api.tagged = {"v1": A}
    assert await scene.looks(TAGGED) == 0
    scene.api.tagged = {f"v{number}": B for number in range(1, 7)}
    await scene.decided("github 4711 refs/tags/v2", "0" * 40, B)

    assert await scene.looks(TAGGED) == 4
    assert await scene.looks(TAGGED) == 0

    names = [parse_found(kept.body).ref.name for kept in await scene.kept()]
    assert names == ["v3", "v4", "v5", "v6"]


async def test_a_commit_that_the_host_does_not_show_is_found_all_the_same(scene: Scene) -> None:
    await scene.decided(MAIN, B, A)
    scene.api.heads["main"] = C

    assert await scene.looks(app()) == 1
    assert parse_found((await scene.kept())[0].body).commit == Commit(C)


@pytest.mark.parametrize("part", ["reconciler", "sweeper"])
async def test_a_host_that_asks_to_wait_is_left_alone_for_the_round(
    scene: Scene, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.api.away, scene.api.asks_to_wait = True, 600.0
    names = ["my-org/one", "my-org/two", "their-org/three"]
    apps = [
        app(f"app-{name}", source=Source(SourceType.GITHUB, repository=name, branch="main"))
        for name in names
    ]

    await getattr(scene, part).round(apps)

    # each owner's installation of a GitHub App has a limit of its own
    assert len(scene.api.asked) == len(caplog.messages) == 2
    await getattr(scene, part).round(apps)
    assert len(scene.api.asked) == 4


def test_what_is_looked_at_is_what_apps_wait_for() -> None:
    gitlab = Source(SourceType.GITLAB, repository="g/p", repository_id="7", branch="main")
    apps = [
        app(),
        app("app-other", rules=Rules(branch="stage")),
        app("app-glob", rules=Rules(branch="release/*")),
        TAGGED,
        app("app-gitlab", source=gitlab),
        app("app-docker", source=Source(SourceType.DOCKER, image="nginx")),
        app("app-none", source=None),
        app("app-key", source=Source(SourceType.GIT, url="git.example.com/g/q", branch="dev")),
        app("app-sub", source=Source(SourceType.GIT, url="git.example.com/sub/g/r", branch="dev")),
        app("app-far", source=Source(SourceType.GIT, url="elsewhere.example/g/q", branch="dev")),
    ]

    homes = {"git.example.com": "gitlab", "git.example.com/sub": "gitea/second"}

    found = {key: (sorted(one.branches), one.tags) for key, one in wanted_of(apps, homes).items()}

    assert found == {
        ("github", "my-org/mono"): (["main", "stage"], True),
        ("gitlab", "g/p"): (["main"], False),
        ("gitlab", "g/q"): (["dev"], False),
        ("gitea/second", "g/r"): (["dev"], False),
    }


@pytest.mark.parametrize("ref_key", [MAIN, "github 4711 refs/tags/v1"])
@pytest.mark.parametrize("found_first", [True, False])
async def test_what_was_found_and_what_a_late_webhook_brings_is_one_push(
    scene: Scene, ref_key: str, found_first: bool
) -> None:
    found = PushSeen(ref_key, A, C, found=True)
    brought = replace(found, before=B, found=False)
    pushes = [found, brought] if found_first else [brought, found]
    for seq, push in enumerate(pushes, 1):
        decision = Decision("app-web", "shop/web", Reason.NO_WATCH_PATHS, "all of them")
        outcome = Outcome(seq, f"d-{seq}", (decision,), (deployment(seq),), push)
        await scene.journal.record([outcome], window=600)
        scene.clock.now += 86_400

    decisions = await scene.journal.decisions([1, 2])
    assert [one.reason for seq in (1, 2) for one in decisions[seq]] == [
        Reason.NO_WATCH_PATHS,
        Reason.DUPLICATE_PUSH,
    ]
