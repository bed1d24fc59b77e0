"""What is listed, for people in a pipe and for scripts."""

import json
from dataclasses import replace

import pytest

from bridge.cli import show
from bridge.core.apps import Source, SourceType
from bridge.core.lifecycle import NoteKind, State
from bridge.ports.inbox import NewDelivery
from bridge.ports.outcomes import Outcome
from tests.fakes.journey import deployment
from tests.scenes.terminal import push as scene
from tests.scenes.terminal import shown
from tests.worlds.cli import DOCS, GUID, SHA, WEB, Cli
from tests.worlds.journal import outcome, record


def test_deliveries_have_the_promised_fields(filled: Cli) -> None:
    (delivery,) = filled.json("deliveries")

    decisions = delivery.pop("decisions")
    assert delivery == {
        "id": GUID,
        "seq": 1,
        "host": "github",
        "event": "push",
        "state": "decided",
        "received_at": "2026-01-01T00:00:00.250Z",
        "repository": "my-org/mono",
        "ref": "refs/heads/main",
        "branch": "main",
        "commit": SHA,
        "author": "ada",
        "attempts": 0,
        "error": None,
    }
    assert [(one["app"], one["deploy"], one["reason"]) for one in decisions] == [
        ("shop/docs", False, "no_path_hit"),
        ("shop/web", True, "path_hit"),
    ]
    assert decisions[0]["evidence"] == "1 file changed, none matches docs/**"


def test_deliveries_come_newest_first_and_no_more_than_asked_for(filled: Cli) -> None:
    async def keep(stores):
        for number in range(3):
            await stores.inbox.keep(
                NewDelivery("gitlab", f"g{number}", "Push Hook", {}, b"{}", 2e9)
            )

    filled.with_stores(keep)

    assert [one["id"] for one in filled.json("deliveries", "--limit", "2")] == ["g2", "g1"]


def test_deployments_have_the_promised_fields(filled: Cli) -> None:
    (deployment,) = filled.json("deployments")

    for time in ("created_at", "asked_at", "started_at", "finished_at"):
        assert time in deployment
    assert deployment["id"] == "0000000000000001.app_web"
    assert deployment["app"] == "shop/web"
    assert deployment["state"] == "waiting"
    assert deployment["trigger"] == "push"
    assert deployment["ref"] == "refs/heads/main"
    assert deployment["commit"] == SHA
    assert deployment["deployed_commit"] is None
    assert deployment["delivery"] == GUID
    assert deployment["backend_id"] is None


def test_apps_have_the_promised_fields(filled: Cli) -> None:
    docs, web = filled.json("apps")

    assert (docs["app"], docs["last_deployment"]) == ("shop/docs", None)
    assert web["last_deployment"]["state"] == "waiting"
    del web["last_deployment"]
    assert web == {
        "id": "app_web",
        "app": "shop/web",
        "backend": "dokploy",
        "kind": "application",
        "source": {
            "type": "github",
            "repository": "my-org/mono",
            "repository_id": None,
            "url": None,
            "image": None,
        },
        "branch": "main",
        "trigger": "push",
        "watch_paths": ["web/**"],
        "rules": {},
        "auto_deploy": True,
        "page": None,
        "url": None,
        "live": None,
        "serving": None,
    }


RULES = "- {apps: shop/docs, trigger: tag, versions: '>=1 <2', only_newer: true}"


def test_apps_tell_how_our_own_rules_hold_and_verify(filled: Cli) -> None:
    """Every rule that an app can have is told, also those with parts of their own."""
    (filled.folder / "bridge.yaml").write_text(
        "rules:\n"
        "  - {apps: shop/web, verify: {url: /healthz, status: 200-399, rollback: true}}\n"
        "  - {apps: shop/docs, verify: true, checks: {need: all}, approvals: 1}\n"
    )

    docs, web = filled.json("apps")
    assert web["rules"]["verify"]["url"] == "/healthz"
    assert web["rules"]["verify"]["status"] == [[200, 399]]
    assert docs["rules"]["verify"]["on"] is True
    assert docs["rules"]["approvals"] == 1
    assert docs["rules"]["checks"]["need"] == "all"
    of_docs, of_web = filled("apps").stdout.splitlines()
    assert 'rules verify={"url": "/healthz", "status": "200-399", "rollback": true},' in of_web
    assert 'rules checks={"need": "all"}, approvals=1, verify=true,' in of_docs
    (told,) = filled.json("why", "docs")
    assert told["now"]["rules"]["verify"]["on"] is True


def test_apps_tell_what_our_own_rules_say(filled: Cli) -> None:
    docs, web = filled.json("apps", BRIDGE_RULES=RULES)

    assert (docs["trigger"], docs["watch_paths"]) == ("tag", ["docs/**"])
    assert docs["rules"] == {"trigger": "tag", "versions": ">=1 <2", "only_newer": True}
    assert web["rules"] == {}

    line, _ = filled("apps", BRIDGE_RULES=RULES).stdout.splitlines()
    assert line == (
        "shop/docs: tag of main from github my-org/mono, watches docs/**,"
        ' by our rules trigger="tag", versions=">=1 <2", only_newer=true, never deployed'
    )


def test_why_tells_what_the_app_waits_for_now(filled: Cli) -> None:
    (told,) = filled.json("why", "docs", BRIDGE_RULES=RULES)

    assert told["now"]["trigger"] == "tag"
    assert told["now"]["rules"]["versions"] == ">=1 <2"
    assert "now shop/docs: tag of main" in filled("why", "docs", BRIDGE_RULES=RULES).stderr


def test_an_app_that_deploys_by_itself_too_is_warned_of(filled: Cli) -> None:
    docs, web = filled("apps").stdout.splitlines()

    assert "every push deploys twice" in web
    assert "twice" not in docs


@pytest.mark.parametrize("kind", [SourceType.DOCKER, SourceType.DROP, SourceType.RAW, None])
def test_an_app_that_no_push_reaches_is_not_warned_of(filled: Cli, kind: SourceType | None) -> None:
    image = replace(WEB, source=Source(kind, image="web:1") if kind else None)
    filled.with_stores(lambda stores: stores.journal.save_apps("dokploy", [image]))

    assert "twice" not in filled("apps").stdout


def test_lists_in_a_pipe_are_one_line_each_and_never_cut(filled: Cli) -> None:
    (delivery,) = filled("deliveries").stdout.splitlines()
    (deployment,) = filled("deployments", "--app", "web").stdout.splitlines()

    assert delivery == (
        f"2026-01-01T00:00:00.250Z {GUID} github push decided my-org/mono main@aaaaaaa by ada:"
        " deploys shop/web (path_hit) → waiting #1: waits for its turn;"
        " skips shop/docs (no_path_hit)"
    )
    assert deployment == (
        "2026-01-01T00:00:00.250Z 0000000000000001.app_web shop/web waiting: waits for its turn"
    )


def test_lists_without_any_data_are_empty_and_say_what_to_do(cli: Cli) -> None:
    for command in ("deliveries", "deployments", "apps"):
        result = cli(command, "--json")
        assert json.loads(result.stdout) == []
        assert "dokploy-bridge serve" in result.stderr
    assert not cli.data.exists()


@pytest.mark.parametrize(
    ("command", "next_step"),
    [
        ("deliveries", "/hooks/github"),
        ("deployments", "dokploy-bridge deliveries"),
        ("apps", "dokploy-bridge app create"),
        ("feedback", "BRIDGE_GITHUB_TOKEN"),
        ("audit", "nobody has changed anything"),
    ],
)
def test_lists_of_nothing_say_why_beside_what_a_script_reads(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str, next_step: str
) -> None:
    cli("migrate")

    for words in ((command,), (command, "--json")):
        result = cli(*words)
        assert next_step in result.stderr
        assert json.loads(result.stdout or "[]") == []
    monkeypatch.setattr(show, "on_terminal", lambda: True)
    assert cli(command).stdout == ""  # no empty table either


def test_with_a_dokploy_no_app_leads_to_the_bridge_that_reads_them(cli: Cli) -> None:
    cli("migrate")

    told = cli("apps", BRIDGE_DOKPLOY_URL="https://d.example", BRIDGE_DOKPLOY_API_KEY="k").stderr

    assert "a bridge that runs reads them" in told
    assert "app create" not in told


def test_one_delivery_is_found_by_id_beginning_and_number(filled: Cli) -> None:
    for name in (GUID, "11111", "1"):
        shown = filled.json("deliveries", "show", name)
        assert shown["id"] == GUID
        assert [one["id"] for one in shown["deployments"]] == ["0000000000000001.app_web"]
        assert "body" not in shown

    assert json.loads(filled("deliveries", "show", GUID, "--body").stdout)["after"] == SHA


def test_a_deployment_shows_all_that_happened(filled: Cli) -> None:
    async def go_on(stores):
        await stores.journal.move("0000000000000001.app_web", State.RUNNING, "builds")

    filled.with_stores(go_on)

    shown = filled.json("deployments", "show", "1")
    assert [one["state"] for one in shown["changes"]] == ["waiting", "running"]
    assert filled("deployments", "show", "1").stdout.splitlines()[-1].endswith("running    builds")


TAIL = "Cloning into 'code'...\n  \x1b[2Jfatal: Remote branch gone not found"


def failed(cli: Cli) -> Cli:
    async def fail(stores):
        facts = {"backend_id": "dep_1", "log_tail": TAIL}
        await stores.journal.move("0000000000000001.app_web", State.FAILED, "fatal: gone", **facts)

    cli.with_stores(fail)
    return cli


def test_a_failed_deployment_is_shown_with_the_end_of_its_log(filled: Cli) -> None:
    shown = failed(filled)("deployments", "show", "1").stdout.splitlines()

    assert shown[-4].endswith("failed     fatal: gone")
    assert shown[-3:-1] == ["the end of its log:", "  Cloning into 'code'..."]
    assert shown[-1].endswith("fatal: Remote branch gone not found")
    assert "\x1b" not in shown[-1]
    assert filled.json("deployments", "show", "1")["log_tail"] == [
        "Cloning into 'code'...",
        "  fatal: Remote branch gone not found",
    ]
    (listed,) = filled.json("deployments")
    assert listed["backend_id"] == "dep_1"
    assert "log_tail" not in listed


def test_a_deployment_of_an_image_names_it(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    image = f"ghcr.io/acme/web@sha256:{'5' * 64}"

    async def deploy_image(stores):
        new = deployment(9001, "app_web", app="shop/web", commit=None, image=image)
        await record(stores.journal, outcome(9001, new, explicit=True))

    filled.with_stores(deploy_image)

    assert filled.json("deployments")[0]["image"] == image
    assert f"image: {image}" in filled("deployments", "show", "9001").stdout
    monkeypatch.setattr(show, "on_terminal", lambda: True)
    assert " web@5555555 " in filled("deployments").stdout


def test_an_unhealthy_deployment_is_shown_with_what_it_answered(filled: Cli) -> None:
    id_, seen = "0000000000000001.app_web", "GET https://web.test/: 502\nno \x1b[2Jdatabase"

    async def verify(stores):
        await stores.journal.move(id_, State.VERIFYING, "commit 5d6e7f8 is live")
        await stores.journal.move(id_, State.UNHEALTHY, "but GET: 502", log_tail=seen)

    filled.with_stores(verify)
    shown = filled("deployments", "show", "1").stdout.splitlines()

    assert shown[-3:-1] == ["what was seen:", "  GET https://web.test/: 502"]
    assert shown[-1].endswith("database")
    assert "\x1b" not in shown[-1]


def test_no_list_goes_on_to_say_that_what_was_replaced_is_live(filled: Cli) -> None:
    async def replace_it(stores):
        await went_live(stores, "0000000000000001.app_web", SHA, 1.0)
        new = deployment(9001, "app_web", app="shop/web")
        await record(stores.journal, outcome(9001, new, explicit=True))
        await went_live(stores, new.id, "b" * 40, 2.0)

    async def went_live(stores, id_: str, commit: str, at: float) -> None:
        facts = {"deployed_commit": commit, "live_at": at, "finished_at": at}
        facts["note_kind"] = NoteKind.LIVE
        assert await stores.journal.move(id_, State.DONE, f"commit {commit[:7]} is live", **facts)

    filled.with_stores(replace_it)

    for words in (
        *(("deployments",), ("deployments", "show", "1"), ("why", "web")),
        *(("deliveries",), ("deliveries", "show", GUID)),
    ):
        for form in ((), ("--json",)):
            assert f"{SHA[:7]} is live" not in filled(*words, *form).stdout, words


def test_why_tells_what_became_of_what_was_deployed(filled: Cli) -> None:
    told = failed(filled)("why", "web").stdout

    assert told.endswith("(web/index.html matches web/**) → failed #1: fatal: gone\n")
    (form,) = filled.json("why", "web")
    assert (form["deployment"]["state"], form["deployment"]["note"]) == ("failed", "fatal: gone")
    assert filled.json("why", "docs")[0]["deployment"] is None


def test_why_tells_the_decision_of_a_commit(filled: Cli) -> None:
    (docs,) = filled.json("why", "docs", SHA[:7])
    assert (docs["deploy"], docs["reason"], docs["commit"]) == (False, "no_path_hit", SHA)

    line = filled("why", "web").stdout
    assert "deploy shop/web: path_hit (web/index.html matches web/**)" in line
    assert f"main@{SHA[:7]}" in line


def test_why_of_a_commit_that_never_came_says_so(filled: Cli) -> None:
    result = filled("why", "web", "0123abc", code=4)

    assert "no delivery has contained commit 0123abc for shop/web" in result.stderr


def test_what_came_from_outside_does_not_steer_the_terminal(filled: Cli) -> None:
    async def say(stores):
        await stores.journal.say("0000000000000001.app_web", "\x1b[2Jforged\nline\u202e")

    filled.with_stores(say)

    shown = filled("deployments").stdout + filled("deployments", "show", "1").stdout
    assert not {"\x1b", "\u202e"} & set(shown)
    assert len(filled("deployments").stdout.splitlines()) == 1


LONG_BRANCH = "feature/SHOP-4711-" + "very-" * 30 + "long-name-part-2"


@pytest.fixture
def long_named(cli: Cli) -> Cli:
    """A push to a branch with a long name, which its app waits for; its build has failed."""
    source = Source(SourceType.GITHUB, repository="my-org/mono", branch=LONG_BRANCH)

    async def fill(stores) -> None:
        note = f"fatal: Remote branch {LONG_BRANCH} not found"
        web = replace(WEB, source=source)
        await stores.journal.save_apps("dokploy", [web])
        await scene(stores, 1, SHA, 60.0, (web, State.FAILED, note), branch=LONG_BRANCH)

    cli.with_stores(fill)
    return cli


@pytest.mark.parametrize(
    "words", [("deliveries",), ("apps",), ("deployments",), ("why", "shop/web")]
)
def test_a_long_branch_is_shortened_in_its_middle_on_a_terminal_only(
    long_named: Cli, words: tuple[str, ...]
) -> None:
    seen = " ".join(shown(long_named.data, words, 100).split())

    assert "feature/SHOP-4711-very-very-…ry-long-name-part-2" in seen
    assert LONG_BRANCH not in seen
    assert LONG_BRANCH in long_named(*words).stdout
    assert LONG_BRANCH in json.dumps(long_named.json(*words))


def test_apps_of_several_dokploys_are_told_apart(filled: Cli) -> None:
    async def another(stores):
        await stores.journal.save_apps("prod", [replace(WEB, id="app_prod", backend="prod")])

    assert "; at " not in filled("apps").stdout
    filled.with_stores(another)

    lines = filled("apps").stdout.splitlines()
    assert [line.rpartition("; at ")[2] for line in lines] == ["dokploy", "prod", "dokploy"]
    both = filled("why", "shop/web", code=2).stderr
    assert "shop/web (app_prod), shop/web (app_web)" in both


def test_a_number_that_several_apps_have_needs_the_app(filled: Cli) -> None:
    """One push deploys several apps, and their deployments have its number."""

    async def deploy_docs_too(stores):
        (of_web,) = await stores.journal.deployments(limit=1)
        of_docs = replace(of_web, id=f"{2:016d}.app_docs", seq=2, app_id=DOCS.id, app=DOCS.label)
        again = replace(of_web, id=f"{2:016d}.app_web", seq=2)
        await stores.journal.record([Outcome(2, "d", (), (of_docs, again))], window=600)

    filled.with_stores(deploy_docs_too)

    several = filled("deployments", "show", "2", code=2).stderr
    assert several == (
        "error: 2 apps have a deployment 2: shop/docs, shop/web; name the app:"
        " `dokploy-bridge deployments show 2 --app APP`\n"
    )
    assert filled.json("deployments", "show", "2", "--app", "docs")["app"] == "shop/docs"
    assert filled.json("deployments", "show", "#2", "--app", "shop/web")["app"] == "shop/web"
    assert filled.json("deployments", "show", "#1")["app"] == "shop/web"
    assert "of that app" in filled("deployments", "show", "1", "-a", "docs", code=4).stderr


@pytest.mark.parametrize("command", ["deliveries", "deployments"])
def test_a_long_branch_is_whole_where_one_thing_is_shown(long_named: Cli, command: str) -> None:
    seen = "".join(shown(long_named.data, (command, "show", "1"), 100).split())

    assert LONG_BRANCH in seen


DONE = {"deployed_commit": SHA, "finished_at": 1_767_225_660.0}


def test_apps_tell_what_is_live_since_when(filled: Cli) -> None:
    filled.with_stores(
        lambda stores: stores.journal.move("0000000000000001.app_web", State.DONE, "live", **DONE)
    )

    docs, web = filled.json("apps")
    assert docs["live"] is None
    assert web["live"] == {
        "known": True,
        "commit": SHA,
        "image": None,
        "since": "2026-01-01T00:01:00.000Z",
        "by": None,
        "deployment": "0000000000000001.app_web",
        "health": "not verified",
        "rolled_back": False,
        "rolled_back_from": None,
        "behind": None,
        "last_known": None,
    }
    assert "live aaaaaaa since 2026-01-01T00:01:00.000Z" in filled("apps").stdout


def test_what_failed_later_leaves_live_what_was_live(filled: Cli) -> None:
    later = "0000000000000002.app_web"

    async def go_on(stores):
        await stores.journal.move("0000000000000001.app_web", State.DONE, "live", **DONE)
        (first,) = await stores.journal.deployments(limit=1)
        second = replace(first, id=later, seq=2, state=State.WAITING, live_at=None)
        await stores.journal.record([Outcome(2, "d2", (), (second,))], window=0)
        await stores.journal.move(later, State.FAILED, "no")

    filled.with_stores(go_on)

    _, web = filled.json("apps")
    assert (web["live"]["deployment"], web["last_deployment"]["id"]) == (f"{1:016d}.app_web", later)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["web"], ["shop/web"]),
        (["SHOP", "doc"], ["shop/docs"]),
        (["my-org/mono"], ["shop/docs", "shop/web"]),
    ],
)
def test_apps_are_filtered_by_words(filled: Cli, words: list[str], wanted: list[str]) -> None:
    assert [one["app"] for one in filled.json("apps", *words)] == wanted


def test_words_that_no_app_has_are_said(filled: Cli) -> None:
    assert "no app has 'web' and 'nope' in its name" in filled("apps", "web", "nope").stderr


@pytest.mark.parametrize("kind", [SourceType.DOCKER, SourceType.DROP, SourceType.RAW, None])
def test_an_app_that_no_push_deploys_waits_for_none(filled: Cli, kind: SourceType | None) -> None:
    image = replace(WEB, source=Source(kind, image="web:1") if kind else None, watch_paths=None)
    filled.with_stores(lambda stores: stores.journal.save_apps("dokploy", [image]))

    line = filled("apps").stdout
    assert line.startswith("shop/web: no push deploys it, its source is ")
    assert "push of" not in line
    assert "watches" not in line
