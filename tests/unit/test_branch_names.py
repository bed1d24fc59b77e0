"""A branch may have letters of every script wherever one is given."""

import json

from bridge.app.doctor.settings import remarks
from bridge.core.chat.calls import Call
from bridge.core.configuration.merge import WantedSource, merge
from bridge.core.events import RefPushed
from bridge.core.refs import check_branch_name
from bridge.core.rules import branch_matches
from bridge.githosts import HOSTS
from bridge.operations.words import parse
from bridge.settings import read_settings
from tests.scenes.slack_provider import GITHUB, configured
from tests.unit.githosts.test_deliveries import load
from tests.worlds.rows import each_row


@each_row("name", ["ünï", "機能/1"])
def test_git_a_rule_and_a_chat_name_it(name: str) -> None:
    check_branch_name(name)
    assert branch_matches(name, name)
    assert branch_matches("**", name)
    now = configured(GITHUB)
    provider = GITHUB.model_copy(update={"branch": name})
    assert merge(now, WantedSource(None, {"branch": name})).saved.provider == provider

    given = {"BRIDGE_RULES": f"[{{apps: '*', branch: {name!r}, pin: true}}]"}
    assert [one for one in remarks(read_settings(None, given)) if one.level != "note"] == []

    typed = f"deploy shop/web@{name}"
    assert parse(typed) == Call("deploy", {"app": "shop/web", "branch": name}, typed)


PUSHES = {
    "github": ("push", "push__two_files"),
    "gitlab": ("Push Hook", "push__one_file"),
    "gitea": ("push", "push__three_commits"),
}


@each_row("host", HOSTS)
@each_row("ascii_only", [False, True])
def test_a_webhook_names_it(host: str, ascii_only: bool) -> None:
    event, fixture = PUSHES[host]
    _, body = load(f"{host}/{fixture}")
    said = json.loads(body) | {"ref": "refs/heads/feature/ünï"}
    written = json.dumps(said, ensure_ascii=ascii_only).encode()

    push = HOSTS[host].reader().parse(event, {}, written)

    assert isinstance(push, RefPushed)
    assert push.ref.name == "feature/ünï"
