"""What is listed, for people in a pipe and for scripts; what a deleted app did is the past."""

import json
from dataclasses import replace

import pytest

from bridge.cli import show
from bridge.core.apps import App
from bridge.core.lifecycle import NoteKind, State
from bridge.ports.outcomes import Outcome
from tests.fakes.journey import deployment
from tests.worlds.cli import DOCS, GUID, SHA, WEB, Cli
from tests.worlds.journal import outcome, record

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


def test_an_app_that_deploys_by_itself_too_is_warned_of(filled: Cli) -> None:
    assert "no app has 'web' and 'nope' in its name" in filled("apps", "web", "nope").stderr
    docs, web = filled("apps").stdout.splitlines()

    assert "every push deploys twice" in web
    assert "twice" not in docs


def test_lists_without_any_data_are_empty_and_say_what_to_do(cli: Cli) -> None:
    for command in ("deliveries", "deployments", "apps"):
        result = cli(command, "--json")
        assert json.loads(result.stdout) == []
        assert "dokploy-bridge serve" in result.stderr
    assert not cli.data.exists()


def test_one_delivery_is_found_by_id_beginning_and_number(filled: Cli) -> None:
    for name in (GUID, "11111", "1"):
        shown = filled.json("deliveries", "show", name)
        assert shown["id"] == GUID
        assert [one["id"] for one in shown["deployments"]] == ["0000000000000001.app_web"]
        assert "body" not in shown

    assert json.loads(filled("deliveries", "show", GUID, "--body").stdout)["after"] == SHA


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


def test_what_came_from_outside_does_not_steer_the_terminal(filled: Cli) -> None:
    async def say(stores):
        await stores.journal.say("0000000000000001.app_web", "\x1b[2Jforged\nline\u202e")

    filled.with_stores(say)

    shown = filled("deployments").stdout + filled("deployments", "show", "1").stdout
    assert not {"\x1b", "\u202e"} & set(shown)
    assert len(filled("deployments").stdout.splitlines()) == 1


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


DONE = {"deployed_commit": SHA, "finished_at": 1_767_225_660.0}


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


DEPLOYMENT = "0000000000000001.app_web"
TAIL = "#4 [3/3] RUN make\n  make: *** no rule to make target"


@pytest.fixture
def deleted(filled: Cli) -> Cli:
    """With shop/web deleted at its backend after a build of it has failed."""

    async def fail_and_go(stores):
        facts = {"backend_id": "dep_1", "log_tail": TAIL}
        await stores.journal.move(DEPLOYMENT, State.FAILED, "no rule to make target", **facts)
        await stores.journal.save_apps("dokploy", [DOCS])

    filled.with_stores(fail_and_go)
    return filled


def test_why_tells_what_was_decided_for_a_deleted_app(deleted: Cli) -> None:
    told = deleted("why", "shop/web")

    assert "deploy shop/web: path_hit" in told.stdout
    assert told.stdout.endswith(" → failed #1: no rule to make target\n")
    assert "now shop/web" not in told.stderr
    assert deleted.json("why", "shop/web")[0]["now"] is None


def test_a_single_deployment_of_a_deleted_app_is_shown_with_that_remark(deleted: Cli) -> None:
    told = deleted("deployments", "show", DEPLOYMENT)

    assert "backend: dep_1\n" in told.stdout
    assert told.stderr == "shop/web (app_web) is gone from the backends\n"


def test_what_an_unhealthy_one_answered_is_no_log(filled: Cli) -> None:
    async def verify_and_go(stores):
        await stores.journal.move(DEPLOYMENT, State.VERIFYING, "commit 5d6e7f8 is live")
        await stores.journal.move(DEPLOYMENT, State.UNHEALTHY, "but GET: 502", log_tail="no page")
        await stores.journal.save_apps("dokploy", [DOCS])

    filled.with_stores(verify_and_go)

    assert "no page" not in filled("logs", "shop/web", code=4).stderr


def test_a_deleted_app_is_not_deployed(deleted: Cli) -> None:
    told = deleted("deploy", "web", code=4).stderr

    assert "shop/web is gone from the backend" in told
    assert "dokploy-bridge deployments --app app_web" in told


def test_a_name_means_the_app_that_is_there_and_the_other_is_mentioned(deleted: Cli) -> None:
    async def make_again(stores):
        await stores.journal.save_apps("dokploy", [DOCS, App("app_new", "web", "shop")])

    deleted.with_stores(make_again)
    told = deleted("deployments", "--app", "shop/web")

    assert told.stdout == ""
    assert "an earlier shop/web is gone; its history is under its id, app_web" in told.stderr
    assert DEPLOYMENT in deleted("deployments", "--app", "app_web").stdout
