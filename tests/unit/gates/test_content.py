"""Two commits are the same for an app if no file that it watches differs."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.apps import App, Rules, Trigger
from bridge.core.decision import Policy
from bridge.core.events import Action
from bridge.core.gates.approvals import (
    SAME,
    WHOLE,
    Approval,
    Compared,
    Content,
    at_once,
    content_of,
    counts,
)
from bridge.core.gates.gates import Facts, next_look, open_gates
from bridge.core.gates.order import Earlier
from bridge.core.health.serving import Serving
from bridge.core.holds import Hold, Proposal, warnings_in
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import NO_IDENTITIES
from tests.fakes.journey import deployment
from tests.worlds.rows import each_row

NOW = 1_700_000_000.0
OLD, HEAD = "1" * 40, "2" * 40
STAGED = "shop/staging/web"
WEB = App(
    "app-web", "web", "shop", watch_paths=("web/**",), rules=Rules(after=(STAGED,), approvals=1)
)
POLICY = Policy()


# ── what two commits are for an app ──────────────────────────────────────────

FILES = st.lists(st.sampled_from(["web/a", "web/b/c", "jobs/a", "docs/web/x", "README"]))


@given(FILES)
def test_exactly_the_watched_files_count(files: list[str]) -> None:
    found = content_of(WEB, files, "", POLICY)

    watched = [one for one in files if one.startswith("web/")]
    assert found.same is (not watched)
    assert found.why == (f"{watched[0]} differs" if watched else "")


@each_row(
    ("app", "found"),
    [
        (WEB, None),
        (replace(WEB, watch_paths=None), WHOLE),
        (replace(WEB, watch_paths=()), WHOLE),
        (replace(WEB, trigger=Trigger.TAG), WHOLE),
        (replace(WEB, rules=Rules(watch_paths=())), WHOLE),
    ],
)
def test_an_app_that_every_push_deploys_has_whole_commits(app: App, found: Content | None) -> None:
    assert at_once(app, OLD, HEAD) is found
    assert at_once(app, HEAD, HEAD) is SAME


def test_what_can_not_be_compared_says_why() -> None:
    broken = replace(WEB, watch_paths=("a" * 70_000,))

    assert content_of(WEB, None, "github can't be reached", POLICY).why == "github can't be reached"
    assert content_of(broken, ["web/a"], "", POLICY).same is None


# ── what it means for the gates ──────────────────────────────────────────────


def held(compared: Compared, *, rules: Rules, **facts: Any) -> list[Hold]:
    app = replace(WEB, rules=rules)
    wanted = replace(deployment(7, commit=HEAD), created_at=NOW - 60)
    return list(open_gates(wanted, app, Facts(compared=compared, **facts), NOW))


def staged(**facts: Any) -> Deployment:
    done: dict[str, Any] = {"state": State.DONE, "deployed_commit": OLD, "live_at": NOW - 60}
    return replace(deployment(3, "app-staged"), **(done | facts))


def order(content: Content | None, *served: Deployment) -> list[Hold]:
    compared = {} if content is None else {("app-staged", OLD): content}
    earlier = Earlier("app-staged", Serving(staged()), served=served)
    return held(compared, rules=Rules(after=(STAGED,)), earlier={STAGED: earlier})


def test_what_can_not_be_compared_holds_and_says_how_to_mend_it() -> None:
    (hold,) = order(Content(None, "github can't be reached", NOW + 60))

    assert hold.says == (
        f"{STAGED} runs 1111111, not 2222222, and they can't be compared: override, or pin this app"
        " and promote that version to it (github can't be reached)"
    )
    assert next_look([hold], NOW) == NOW + 60


@each_row(
    ("served", "warns"),
    [
        ((), ""),
        ((staged(),), ""),
        (
            (staged(state=State.UNHEALTHY, deployed_commit=HEAD),),
            f"{STAGED} was unhealthy with 2222222",
        ),
        (
            (staged(action=Action.ROLLBACK), staged(state=State.UNHEALTHY, deployed_commit=HEAD)),
            f"{STAGED} was unhealthy with 2222222, and was rolled back",
        ),
        (
            (staged(action=Action.ROLLBACK), staged(deployed_commit=HEAD)),
            f"{STAGED} was rolled back from 2222222",
        ),
        ((staged(deployed_commit=HEAD), staged(action=Action.ROLLBACK)), ""),
    ],
)
def test_who_overrides_is_warned_of_what_did_not_work_elsewhere(
    served: tuple[Deployment, ...], warns: str
) -> None:
    (hold,) = order(Content(False), *served)

    assert warnings_in([hold]) == ((warns,) if warns else ())
    assert hold.says == f"{STAGED} runs 1111111, not 2222222" + (f"; {warns}" if warns else "")


def approval(commit: str = OLD, **facts: Any) -> Approval:
    return replace(Approval(WEB.id, commit, "github:grace", "Grace", "", NOW - 30), **facts)


def approvals(content: Content | None, *given: Approval) -> list[Hold]:
    compared = {} if content is None else {(WEB.id, OLD): content}
    given = given or (approval(),)
    proposal = Proposal(HEAD, since=0.0, by=("github",))
    return held(compared, rules=Rules(approvals=1), approvals=given, proposal=proposal)


@each_row(
    ("content", "says"),
    [
        (Content(False, "web/a differs"), "; Grace approved 1111111, but web/a differs"),
        (WHOLE, "; Grace approved 1111111"),
        (
            Content(None, "no answer"),
            "; Grace approved 1111111, and they can't be compared, so approve this one: no answer",
        ),
    ],
)
def test_an_approval_of_another_commit_does_not_count_and_the_reason_says_why(
    content: Content, says: str
) -> None:
    (hold,) = approvals(content)
    (before,) = approvals(content, approval(at=NOW - 3600))

    assert hold.says == f"needs 1 approval of 2222222, has 0{says}"
    assert before.says == "needs 1 approval of 2222222, has 0", "it was for an earlier deployment"


@each_row(
    ("since", "changed", "counted"),
    [(0.0, None, True), (NOW - 60, 3, True), (NOW, 3, False), (NOW, 0, True), (None, 3, False)],
)
def test_an_approval_is_for_what_comes_after_it(
    since: float | None, changed: int | None, counted: bool
) -> None:
    proposal = Proposal(HEAD, same=(OLD,), since=since, changed=changed, by=("github",))

    assert counts(approval(), (), proposal, NO_IDENTITIES) is counted
    by_name = counted or since is None
    assert counts(approval(HEAD), (), proposal, NO_IDENTITIES) is by_name, (
        "also one that names the very commit"
    )
