"""What a payload means, from a file, a pipe or the inbox."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.app.storage import Stores
from bridge.cli.every import app
from bridge.cli.payloads import parse_payload, split_request
from bridge.core.errors import Rejected
from bridge.core.events import COMMAND_HOST, Action, Asked, write_command
from bridge.core.people import Actor
from bridge.ports.inbox import DeliveryState, Finished, NewDelivery
from tests.worlds.cli import DOCS, GUID, RECEIVED, WEB, Cli, push

FIXTURES = Path(__file__).parents[2] / "fixtures"
TWO_FILES = str(FIXTURES / "github" / "push__two_files.http")


def test_a_skip_says_why_on_one_line(cli: Cli) -> None:
    result = cli("explain", TWO_FILES, "--watch-path", "apps/api/**", "--app", "app_def456")

    assert result.stdout == (
        "skip app_def456: no_path_hit (2 files changed, none matches apps/api/**)\n"
    )


def test_apps_of_the_journal_are_explained(filled: Cli) -> None:
    Path("push.json").write_text(json.dumps(push()))

    told = filled.json("explain", "push.json")

    assert [(one["app"], one["reason"]) for one in told["decisions"]] == [
        ("shop/docs", "no_path_hit"),
        ("shop/web", "path_hit"),
    ]
    assert told["paths"] == ["web/index.html"]
    assert [line.split(",")[0] for line in told["assumed"]] == ["--host github", "--event 'push'"]


def test_a_kept_delivery_is_explained_by_its_id(filled: Cli) -> None:
    lines = filled("explain", GUID).stdout.splitlines()

    assert lines[1] == "deploy shop/web: path_hit (web/index.html matches web/**)"


def test_an_app_that_was_made_after_a_kept_push_is_not_told_to_deploy(filled: Cli) -> None:
    """As a replay of that push is decided; a file is taken for a push of now."""
    late = replace(WEB, id="app_late", name="late", made_at=RECEIVED + 60)

    async def make(stores: Stores) -> int:
        await stores.journal.save_apps("dokploy", [WEB, DOCS, late])
        (kept,) = await stores.inbox.newest(1)
        done = Finished(kept.seq, kept.host, kept.id, DeliveryState.DECIDED)
        await stores.inbox.finish([done])
        asked = Asked(Action.REPLAY, str(kept.seq), Actor("cli", "ada"))
        new = NewDelivery(COMMAND_HOST, "again", "replay", {}, write_command(asked), RECEIVED + 90)
        return (await stores.inbox.keep(new)).seq

    filled.with_stores(make)
    Path("push.json").write_text(json.dumps(push()))

    def reasons(*words: str) -> dict[str, str]:
        found = filled.json("explain", *words)["decisions"]
        return {one["app"]: one["reason"] for one in found}

    later = {"shop/docs": "no_path_hit", "shop/late": "made_later", "shop/web": "path_hit"}
    assert reasons(GUID) == reasons("again") == later
    assert reasons("push.json") == later | {"shop/late": "path_hit"}
    assert reasons(GUID, "--app", "late", "--path", "web/**") == {"shop/late": "path_hit"}


def test_a_known_app_can_be_changed_in_thought(filled: Cli) -> None:
    told = filled.json("explain", GUID, "--app", "docs", "--path", "web/*.html")

    assert [one["reason"] for one in told["decisions"]] == ["path_hit"]
    assert told["assumed"] == [
        "shop/docs deploys pushes to main of my-org/mono, watching web/*.html"
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--branch", "other"], "branch_mismatch"),
        (["--trigger", "tag"], "trigger_mismatch"),
        ([], "no_watch_paths"),
    ],
)
def test_an_app_is_made_up_where_none_is_known(cli: Cli, options, reason) -> None:
    (decision,) = cli.json("explain", TWO_FILES, *options)["decisions"]

    assert (decision["app"], decision["reason"]) == ("what-if", reason)


REPOSITORY = {"id": 4711, "name": "mono", "full_name": "my-org/mono"}
PULL = {"number": 7, "head": {"ref": "topic", "sha": "c" * 40, "repo": {"id": 4711}}}


@pytest.mark.parametrize(
    ("body", "event", "ignored"),
    [
        (
            {"action": "opened", "number": 7, "pull_request": PULL},
            "pull_request", "pull request 7 was opened: nothing deploys for that",
        ),
        (
            {"action": "opened", "pull_request": PULL},
            "pull_request", "pull request 7 was opened: nothing deploys for that",
        ),
        (
            {"action": "submitted", "pull_request": PULL, "review": {"id": 1}},
            "pull_request_review",
            (
                "event pull_request_review is not used, only pushes, pull requests, checks and"
                " statuses are"
            ),
        ),
        (
            {"ref": "topic", "ref_type": "branch", "master_branch": "main"},
            "create", "event create: GitHub sends push for the same ref, which deploys",
        ),
        (
            {"ref": "v1", "ref_type": "tag", "pusher_type": "user"},
            "delete", "event delete: GitHub sends push for the same ref, which says so",
        ),
    ],
)  # fmt: skip
def test_a_body_of_github_tells_its_event(cli: Cli, body, event, ignored) -> None:
    Path("body.json").write_text(json.dumps(body | {"repository": REPOSITORY}))

    told = cli.json("explain", "body.json")

    assert (told["host"], told["event"], told["ignored"]) == ("github", event, ignored)


TAG = push(ref="refs/tags/v1.3.0-rc.1", before="0" * 40, commits=[])


@pytest.mark.parametrize(
    ("options", "reason", "assumed"),
    [
        (["--trigger", "tag"], "tag_pushed", "tags of my-org/mono"),
        (["--tag-pattern", "v*"], "tag_pushed", "tags (v*) of my-org/mono"),
        (["--tag-pattern", "api-*"], "tag_mismatch", "tags (api-*) of my-org/mono"),
        (["--versions", ">=1.2 <2"], "tag_mismatch", "tags (versions >=1.2 <2) of my-org/mono"),
        (["--versions", "1", "--trigger", "push"], "trigger_mismatch", "pushes to main of"),
    ],
)
def test_rules_for_tags_can_be_tried(cli: Cli, options, reason, assumed) -> None:
    Path("tag.json").write_text(json.dumps(TAG))

    told = cli.json("explain", "tag.json", *options)

    assert [one["reason"] for one in told["decisions"]] == [reason]
    assert told["assumed"][-1].startswith(f"an app that deploys {assumed}")


def test_a_range_that_can_not_be_read_is_wrong_usage(cli: Cli) -> None:
    told = cli("explain", TWO_FILES, "--versions", ">=1,<2", code=2).stderr

    assert told == "error: '1,<2' is no version; write e.g. 1.2.3, 1.2 or 1.x\n"


def test_a_branch_can_be_tried_by_glob(cli: Cli) -> None:
    (decision,) = cli.json("explain", TWO_FILES, "--branch", "{main,release/**}")["decisions"]

    assert decision["reason"] == "no_watch_paths"


def test_the_bridges_own_rules_and_policy_are_taken(filled: Cli) -> None:
    rules = "- {apps: shop/web, watch_paths: ['**', '!**/*.html']}"

    def reason(**environment: str) -> str:
        told = filled.json("explain", GUID, "--app", "web", BRIDGE_RULES=rules, **environment)
        return str(told["decisions"][0]["reason"])

    assert reason() == "no_path_hit"
    assert reason(BRIDGE_WATCH_SEMANTICS="any") == "path_hit"


def test_what_is_wrong_with_watch_paths_is_said_with_its_remedy(cli: Cli) -> None:
    patterns = ["--watch-path", "/web/**", "--watch-path", "docs"]
    Path("push.json").write_text(json.dumps(push()))

    (decision,) = cli.json("explain", "push.json", *patterns)["decisions"]
    told = cli("explain", "push.json", *patterns)

    assert [(one["code"], one["level"]) for one in decision["findings"]] == [
        ("leading_slash", "error"),
        ("bare_directory", "warning"),
    ]
    assert len(told.stdout.splitlines()) == 1
    assert (
        "what-if: `/web/**`: it never matches: paths in Git do not start with a slash."
        " Write `web/**`.\n"
    ) in told.stderr


def test_the_nearest_miss_is_named_where_nothing_is_wrong(cli: Cli) -> None:
    Path("push.json").write_text(json.dumps(push()))

    (decision,) = cli.json("explain", "push.json", "--watch-path", "Web/**")["decisions"]
    told = cli("explain", "push.json", "--watch-path", "Web/**").stderr

    assert decision["near_miss"] == {
        "code": "case",
        "pattern": "Web/**",
        "file": "web/index.html",
        "sentence": "`web/index.html` differs from `Web/**` only in upper and lower case.",
    }
    assert f"what-if: {decision['near_miss']['sentence']}\n" in told


def test_a_hit_has_no_near_miss(filled: Cli) -> None:
    docs, web = filled.json("explain", GUID)["decisions"]

    assert (web["reason"], web["near_miss"]) == ("path_hit", None)
    assert (docs["reason"], docs["near_miss"]) == ("no_path_hit", None)
    assert [one["level"] for one in web["findings"]] == ["note"]


def test_a_payload_can_come_through_a_pipe(cli: Cli) -> None:
    body = json.dumps(push())

    result = CliRunner().invoke(app, ["explain", "-", "--path", "web/**"], input=body)

    assert result.stdout == "deploy what-if: path_hit (web/index.html matches web/**)\n"
    assert "assumed: --host github" in result.stderr


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("git*/*.http")), ids=lambda file: file.stem)
def test_every_fixture_is_explained(cli: Cli, file: Path) -> None:
    told = cli.json("explain", str(file))

    meaning = json.loads(file.with_suffix(".json").read_text())
    assert (told["ignored"] is not None) == (meaning["is"] != "RefPushed")


@pytest.mark.parametrize(
    ("body", "host", "event"),
    [
        ({"object_kind": "push"}, "gitlab", "Push Hook"),
        ({"object_kind": "tag_push"}, "gitlab", "Tag Push Hook"),
        ({"event_name": "project_rename"}, "gitlab", "System Hook"),
        ({"zen": "Keep it simple"}, "github", "ping"),
        (push(), "github", "push"),
    ],
)
def test_host_and_event_are_guessed_from_the_shape(body, host, event) -> None:
    payload = parse_payload(json.dumps(body).encode(), None, None)

    assert (payload.host, payload.event) == (host, event)
    assert len(payload.assumed) == 2


def test_a_form_is_read_without_its_header() -> None:
    assert parse_payload(b"payload=%7B%22zen%22%3A1%7D", None, None).event == "ping"


GITEA = FIXTURES / "gitea" / "push__three_commits.http"
SERVERS = {
    "BRIDGE_GITEA_WEBHOOK_SECRETS": "first-of-the-tests",
    "BRIDGE_GITEAS": "second: {url: http://127.0.0.1:3000, webhook_secrets: second-of-the-tests}",
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("words", [[], ["--host", "gitea/second"]])
def test_a_file_of_a_further_server_is_known_by_its_repository_s_address(
    cli: Cli, whole: bool, words: list[str]
) -> None:
    raw = GITEA.read_bytes()
    Path("push.file").write_bytes(raw if whole else split_request(raw)[2])

    told = cli.json("explain", "push.file", *words, **SERVERS)

    assert told["host"] == "gitea/second"


def test_a_request_to_the_path_of_a_further_server_is_its_own(cli: Cli) -> None:
    raw = GITEA.read_bytes().replace(b" /hooks/gitea ", b" /hooks/gitea/third ", 1)
    Path("push.http").write_bytes(raw)
    third = {"BRIDGE_GITEAS": "third: {url: http://elsewhere.example}"}

    assert cli.json("explain", "push.http", **third)["host"] == "gitea/third"


def test_a_host_that_is_not_set_is_named_with_those_that_are(cli: Cli) -> None:
    said = cli("explain", str(GITEA), "--host", "gitea/third", code=2, **SERVERS).stderr

    assert "--host 'gitea/third' is none of github, gitlab, gitea, gitea/second" in said


def test_a_request_with_headers_of_another_host_is_none_of_github_s(cli: Cli) -> None:
    said = cli("explain", str(GITEA), "--host", "github", code=2).stderr

    assert "is not a header of GitHub's: leave out --host github" in said


def test_what_is_told_is_not_guessed() -> None:
    payload = parse_payload(b"{}", "github", "push")

    assert payload.assumed == ()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"no json", b"", b"\xff\xfe"])
def test_what_can_not_be_told_is_refused(body) -> None:
    with pytest.raises(Rejected):
        parse_payload(body, None, None)


def test_what_is_no_payload_is_one_line(cli: Cli) -> None:
    Path("x.json").write_text("{")

    assert "is it the right file?" in cli("explain", "x.json", code=2).stderr
    assert "is no file" in cli("explain", "y.json", code=4).stderr


def test_the_rules_and_the_policy_of_the_settings_count(filled: Cli) -> None:
    rules = "[{apps: shop/docs, watch_paths: ['web/**']}, {apps: shop/web, branch: release/*}]"

    told = filled.json("explain", GUID, BRIDGE_RULES=rules)

    assert [(one["app"], one["reason"]) for one in told["decisions"]] == [
        ("shop/docs", "path_hit"),
        ("shop/web", "branch_mismatch"),
    ]
    apps = filled.json("apps", BRIDGE_RULES=rules)
    assert [(one["branch"], one["watch_paths"]) for one in apps] == [
        ("main", ["web/**"]),
        ("release/*", ["web/**"]),
    ]


@pytest.mark.parametrize("option", ["--branch", "--app", "--tag-pattern", "--watch-path"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_option_without_a_value_is_told(filled: Cli, option: str, empty: str) -> None:
    told = filled("explain", GUID, option, empty, code=2).stderr

    assert told == f"error: {option} is empty; give a value, or leave it out\n"
