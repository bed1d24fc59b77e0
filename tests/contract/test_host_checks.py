"""The checks of a commit, at each Git host, over real HTTP."""

import pytest

from bridge.core.checks import Check, CheckState, Required
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.pipeline.gates.ci import ListsChecks
from bridge.ports.gates import RequiresGlobs, TellsApps
from bridge.ports.githosts import CommitState
from tests.fakes.checks import ACTIONS, status_of
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import Spoil
from tests.worlds.hosts import NAME, Host

PASSED, FAILED, PENDING = CheckState.PASSED, CheckState.FAILED, CheckState.PENDING
PROTECTED = r"/branches/main$|/projects/my-org/mono$"
OURS = "dokploy/shop/web"
IN_THE_HOSTS_WORDS = {
    "github": {PASSED: "success", FAILED: "failure", PENDING: "pending"},
    "gitlab": {PASSED: "success", FAILED: "failed", PENDING: "running"},
    "gitea": {PASSED: "success", FAILED: "failure", PENDING: "pending"},
}


def head(host: Host) -> str:
    return host.repository.branches["main"]


def report(host: Host, name: str, state: CheckState, *, sha: str = "") -> None:
    """Have CI set a check in the way that is usual at the host."""
    sha, word = sha or head(host), IN_THE_HOSTS_WORDS[host.fake.name][state]
    checks = host.repository.checks
    if host.fake.name == "gitlab":
        if not checks.pipelines:
            checks.pipeline(sha, "running")
        checks.run(sha, name, word, pipeline=checks.pipelines[-1].id)
    elif host.fake.name == "github":
        checks.run(sha, name, "in_progress" if state is PENDING else word)
    else:
        host.repository.statuses.append(status_of(sha, name, word))


async def states(host: Host, sha: str = "") -> dict[str, CheckState]:
    """Return the states by name; of GitLab without that of the whole pipeline."""
    found = await host.api.checks(NAME, sha or head(host))
    return {one.name: one.state for one in found if one.name != "pipeline"}


async def test_the_newest_run_of_each_name_counts_whoever_reports_it(host: Host) -> None:
    assert isinstance(host.api, ListsChecks)
    assert await host.api.checks(NAME, head(host)) == []
    report(host, "build", FAILED)
    report(host, "lint", PENDING)
    report(host, "build", PASSED)
    word = IN_THE_HOSTS_WORDS[host.fake.name][FAILED]
    host.repository.statuses.append(status_of(head(host), "ci/jenkins", word))

    assert await states(host) == {"build": PASSED, "lint": PENDING, "ci/jenkins": FAILED}
    assert await states(host, host.repository.commit({"a": "1"})) == {}


async def test_our_own_statuses_never_count(host: Host) -> None:
    for state in (CommitState.PENDING, CommitState.FAILURE):
        await host.api.set_status(NAME, head(host), OURS, state, "waits")

    assert await host.api.checks(NAME, head(host)) == []


async def test_all_pages_are_read_and_one_that_is_missing_is_an_error(host: Host) -> None:
    for number in range(129):
        report(host, f"test {number:03}", PASSED)
    report(host, "last", FAILED)
    found = await states(host)
    assert len(found) == 130
    assert found["last"] is FAILED

    for listed in (0, 100, 129):
        host.fake.lists_at_most = listed
        with pytest.raises(Unreachable, match=rf"it listed {listed} of 130 .*: a page is missing"):
            await host.api.checks(NAME, head(host))


async def test_a_missing_page_of_statuses_is_an_error_as_well(host: Host) -> None:
    word = IN_THE_HOSTS_WORDS[host.fake.name][PASSED]
    for number in range(3):
        host.repository.statuses.append(status_of(head(host), f"ci/{number}", word))
    host.fake.lists_at_most = 2

    with pytest.raises(Unreachable, match=r"of 3 .*: a page is missing"):
        await host.api.checks(NAME, head(host))


async def test_what_goes_wrong_is_an_error(host: Host) -> None:
    report(host, "build", PASSED)
    await states(host)  # it has a token by now
    lists = "/check-runs$" if host.fake.name == "github" else "/statuses$"
    host.fake.spoil(Spoil(status=403, body={"message": "Resource not accessible"}), path=lists)
    with pytest.raises(Refused, match="Resource not accessible"):
        await host.api.checks(NAME, head(host))
    host.fake.spoil(Spoil(status=502), path=lists)
    with pytest.raises(Unreachable):
        await host.api.checks(NAME, head(host))
    host.fake.spoil(Spoil(status=200, body={"check_runs": "all green"}), path=lists)
    with pytest.raises(Unreachable, match="unexpected answer"):
        await host.api.checks(NAME, head(host))
    with pytest.raises(NotFound):
        await host.api.checks("my-org/nothing", head(host))
    host.fake.asked.clear()  # such answers are in no contract


# ── what a branch requires ───────────────────────────────────────────────────


async def test_a_branch_tells_what_it_requires_and_silence_is_not_nothing(host: Host) -> None:
    assert await host.api.required_checks(NAME, "main") == ()
    key = "" if host.fake.name == "gitlab" else "main"
    host.repository.checks.required[key] = ["build", OURS, "lint"]

    found = await host.api.required_checks(NAME, "main")

    names = ["pipeline"] if host.fake.name == "gitlab" else ["build", "lint"]
    assert found == tuple(map(Required, names))
    host.fake.spoil(Spoil(status=403), path=PROTECTED, times=2)
    assert await host.api.required_checks(NAME, "main") is None


async def test_a_host_that_is_busy_is_no_branch_without_requirements(host: Host) -> None:
    await host.api.required_checks(NAME, "main")
    limited = Spoil(status=429, headers={"Retry-After": "7"})
    host.fake.spoil(limited, path=PROTECTED)

    with pytest.raises(Unreachable):
        await host.api.required_checks(NAME, "main")


# ── GitHub ───────────────────────────────────────────────────────────────────


GITHUB = pytest.mark.parametrize("host", ["github"], indirect=True)


@GITHUB
async def test_each_word_of_a_check_run_has_its_state(host: Host) -> None:
    words = {
        PASSED: "success neutral skipped",
        FAILED: "failure cancelled timed_out action_required",
        PENDING: "queued in_progress waiting requested",
    }
    for state, said in words.items():
        for word in said.split():
            host.repository.checks.runs.clear()
            host.repository.checks.run(head(host), "build", word)
            assert await states(host) == {"build": state}, word


async def test_a_word_that_nobody_knows_never_passes(host: Host) -> None:
    host.repository.checks.run(head(host), "build", "splendid", pipeline=1)
    host.repository.checks.pipeline(head(host), "running").id = 1
    host.repository.statuses.append(status_of(head(host), "ci", "splendid"))
    body = {"check_runs": [], "total_count": 0}
    run = {"id": 1, "name": "build", "status": "completed", "conclusion": "splendid"}
    if isinstance(host.fake, FakeGithub):  # its contract has no such words
        status = {"id": 1, "context": "ci", "state": "splendid"}
        host.fake.spoil(
            Spoil(status=200, body=body | {"check_runs": [run], "total_count": 1}),
            path="/check-runs$",
        )
        host.fake.spoil(
            Spoil(status=200, body={"statuses": [status], "total_count": 1}), path="/status$"
        )

    assert set((await states(host)).values()) == {PENDING}
    host.fake.asked.clear()  # such answers are in no contract


@GITHUB
async def test_the_same_name_of_two_apps_is_two_checks(host: Host) -> None:
    host.repository.checks.run(head(host), "build", "success", app="GitHub Actions")
    host.repository.checks.run(head(host), "build", "failure", app="Other CI")

    found = await host.api.checks(NAME, head(host))

    assert [(one.app, one.state) for one in found] == [
        ("GitHub Actions", PASSED),
        ("Other CI", FAILED),
    ]
    assert found[0].url == "https://github.com/my-org/mono/runs/1"


@GITHUB
async def test_protection_and_rulesets_say_whose_check_they_require(host: Host) -> None:
    host.repository.checks.required["main"] = [("build", ACTIONS), "lint"]
    host.repository.checks.ruled["main"] = [("scan", 57789), "build"]
    ruled = {Required("build"), Required("scan", 57789)}

    found = set(await host.api.required_checks(NAME, "main") or ())
    assert found == {Required("build", ACTIONS), Required("lint"), Required("scan", 57789)}
    host.fake.spoil(Spoil(status=403), path=r"/repos/[^/]+/[^/]+/branches/main$")
    assert set(await host.api.required_checks(NAME, "main") or ()) == ruled  # one is enough


@GITHUB
async def test_of_a_status_that_an_app_has_to_set_it_is_known_who_did(host: Host) -> None:
    assert isinstance(host.fake, FakeGithub)
    assert isinstance(host.api, TellsApps)
    host.fake.slugs["jenkins"] = 7
    commit = host.repository.branches["main"]
    for name, by in (
        ("build", "jenkins[bot]"), ("lint", "mallory"), ("scan", "jenkins[bot]"),
        ("scan", "mallory"), ("test", "unknown[bot]"),
    ):  # fmt: skip
        host.repository.statuses.append(status_of(commit, name, "success", by))
    checks = await host.api.checks(NAME, commit)

    found = await host.api.with_apps(NAME, commit, checks, {"build", "scan", "test"})

    told = {one.name: (one.state, one.app_id) for one in found}
    unknown = (PASSED, None)
    assert told == {"build": (PASSED, 7), "lint": unknown, "scan": unknown, "test": unknown}


# ── GitLab ───────────────────────────────────────────────────────────────────


GITLAB = pytest.mark.parametrize("host", ["gitlab"], indirect=True)


async def pipelines(host: Host) -> list[Check]:
    return [one for one in await host.api.checks(NAME, head(host)) if one.name == "pipeline"]


@GITLAB
async def test_each_word_of_a_pipeline_has_its_state(host: Host) -> None:
    words = {
        PASSED: "success skipped",
        FAILED: "failed canceled",
        PENDING: "created waiting_for_resource preparing pending running canceling manual "
        "scheduled",
    }
    for state, said in words.items():
        for word in said.split():
            host.repository.checks.pipelines.clear()
            made = host.repository.checks.pipeline(head(host), word)
            (found,) = await pipelines(host)
            assert (found.state, found.app) == (state, "push main"), word
            assert found.url == f"https://gitlab.example.com/my-org/mono/-/pipelines/{made.id}"


@GITLAB
async def test_the_newest_pipeline_of_each_ref_and_source_counts(host: Host) -> None:
    checks, sha = host.repository.checks, head(host)
    old = checks.pipeline(sha, "failed")
    checks.run(sha, "build", "failed", pipeline=old.id)
    new = checks.pipeline(sha, "success")
    checks.run(sha, "build", "success", pipeline=new.id)
    checks.pipeline(sha, "running", source="schedule")
    checks.pipeline(sha, "success", ref="v1")

    found = await host.api.checks(NAME, sha)

    assert [(one.name, one.app, one.state) for one in found] == [
        ("build", "push main", PASSED),
        ("pipeline", "push main", PASSED),
        ("pipeline", "push v1", PASSED),
        ("pipeline", "schedule main", PENDING),
    ]


@GITLAB
async def test_a_job_that_may_fail_holds_nothing_up(host: Host) -> None:
    sha, checks = head(host), host.repository.checks
    for word, may_fail, state in (
        ("failed", False, FAILED),
        ("failed", True, PASSED),
        ("canceled", True, PASSED),
        ("manual", False, PENDING),
        ("manual", True, PASSED),
        ("running", True, PENDING),
        ("skipped", False, PASSED),
    ):
        checks.runs.clear()
        pipeline = checks.pipeline(sha, "running")
        checks.run(sha, "job", word, pipeline=pipeline.id, may_fail=may_fail)
        assert await states(host) == {"job": state}, (word, may_fail)


@GITLAB
@pytest.mark.parametrize(("jobs", "state"), [
    (["success", "success"], PASSED),
    (["success", "running"], PENDING),
    (["failed", "running"], FAILED),
    ([], PENDING),
])  # fmt: skip
@pytest.mark.parametrize(("ours", "whole"), [("pending", "running"), ("failed", "failed")])
@pytest.mark.parametrize("tells", [True, False])
async def test_a_pipeline_does_not_wait_for_our_own_status(
    host: Host, jobs: list[str], state: CheckState, ours: str, whole: str, tells: bool
) -> None:
    """GitLab adds it to the newest pipeline, which would be held by what it holds."""
    assert isinstance(host.fake, FakeGitlab)
    host.fake.tells_pipelines = tells
    sha, checks = head(host), host.repository.checks
    pipeline = checks.pipeline(sha, whole)
    for number, word in enumerate(jobs):
        checks.run(sha, f"job {number}", word, pipeline=pipeline.id)
    host.repository.statuses.append(status_of(sha, OURS, ours))

    (found,) = await pipelines(host)

    assert found.state is state


@GITLAB
async def test_a_job_with_the_name_of_the_whole_is_a_part_of_it(host: Host) -> None:
    sha, checks = head(host), host.repository.checks
    checks.run(sha, "pipeline", "success", pipeline=checks.pipeline(sha, "failed").id)

    (found,) = await pipelines(host)

    assert found.state is FAILED


# ── Gitea ────────────────────────────────────────────────────────────────────


GLOBS = [
    ("build", "build", True),
    ("build", "build 2", False),
    ("test / *", "test / unit (push)", True),
    ("*", "ci/woodpecker/push", True),  # as in Gitea, a slash is no border
    ("ci/?nit", "ci/unit", True),
    ("ci/?nit", "ci/init x", False),
    ("[a-c]i", "bi", True),
    ("[!a-c]i", "bi", False),
    ("ci/{unit,e2e-{a,b}*}", "ci/e2e-b/chrome", True),
    ("ci/{unit,e2e}", "ci/lint", False),
    (r"\*", "*", True),
    (r"\*", "x", False),
    ("test [linux", "test [linux", True),  # no glob, from before Gitea checked them
    ("test {linux", "test linux", False),
    ("*a" * 100 + "b", "a" * 255, False),
    ("{a,b}" * 60, "a" * 60, False),  # too large: what it requires is waited for
]


@pytest.mark.parametrize("host", ["gitea"], indirect=True)
async def test_giteas_globs_match_as_there(host: Host) -> None:
    assert isinstance(host.api, RequiresGlobs)
    for required, name, fits in GLOBS:
        host.repository.checks.required["main"] = [required]
        (found,) = await host.api.required_checks(NAME, "main") or ()
        assert host.api.fits(found.name, name) is fits, (required, name)
