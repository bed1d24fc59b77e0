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


def test_the_bridges_own_rules_and_policy_are_taken(filled: Cli) -> None:
    rules = "- {apps: shop/web, watch_paths: ['**', '!**/*.html']}"

    def reason(**environment: str) -> str:
        told = filled.json("explain", GUID, "--app", "web", BRIDGE_RULES=rules, **environment)
        return str(told["decisions"][0]["reason"])

    assert reason() == "no_path_hit"
    assert reason(BRIDGE_WATCH_SEMANTICS="any") == "path_hit"


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
    assert parse_payload(b"payload=%7B%22zen%22%3A1%7D", None, None).event == "ping"  # a form
    assert parse_payload(b"{}", "github", "push").assumed == ()


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


def test_what_can_not_be_explained_is_said(cli: Cli) -> None:
    Path("x.json").write_text("{")
    third = "--host 'gitea/third' is none of github, gitlab, gitea, gitea/second"
    for words, code, says in (
        ((str(GITEA), "--host", "gitea/third"), 2, third),
        ((str(GITEA), "--host", "github"), 2, "is not a header of GitHub's: leave out --host gi"),
        (("x.json",), 2, "is it the right file?"),
        (("y.json",), 4, "is no file"),
    ):
        assert says in cli("explain", *words, code=code, **SERVERS).stderr


@pytest.mark.parametrize("body", [b"{}", b"[]", b"no json", b"", b"\xff\xfe"])
def test_what_can_not_be_told_is_refused(body) -> None:
    with pytest.raises(Rejected):
        parse_payload(body, None, None)
