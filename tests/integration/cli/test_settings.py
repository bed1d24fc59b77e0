"""Settings: what wins, what is refused, and what is never shown."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.cli.every import app
from bridge.core.errors import Rejected
from bridge.core.log_text import STEERING
from bridge.settings import Settings, fields, is_secret, read_settings, variables
from tests.worlds.cli import Cli

SECRETS = [
    "BRIDGE_GITHUB_WEBHOOK_SECRETS",
    "BRIDGE_GITHUB_TOKEN",
    "BRIDGE_GITHUB_PRIVATE_KEY",
    "BRIDGE_GITLAB_WEBHOOK_TOKENS",
    "BRIDGE_GITLAB_TOKEN",
    "BRIDGE_DOKPLOY_API_KEY",
    "BRIDGE_SLACK_BOT_TOKEN",
    "BRIDGE_SLACK_SIGNING_SECRET",
    "BRIDGE_SLACK_APP_TOKEN",
]


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")

    settings: Any = read_settings(None, {"BRIDGE_DOKPLOY_API_KEY_FILE": str(tmp_path / "key")})

    assert settings.dokploy.api_key is not None
    assert settings.dokploy.api_key.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("BRIDGE_GITHUB_WEBHOOK_SECRET", "BRIDGE_GITHUB_WEBHOOK_SECRETS"),
        ("BRIDGE_DOKPLOY_KEY", "BRIDGE_DOKPLOY_API_KEY"),
    ],
)
def test_an_unknown_variable_names_the_nearest(cli: Cli, variable: str, nearest: str) -> None:
    result = cli("config", "check", code=2, **{variable: "hunter2"})

    assert result.stderr == f"error: {variable} is no setting; did you mean {nearest}?\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot: 1", "prot is no setting; did you mean port?"),
        ("dokploy: {ulr: x}", "dokploy.ulr is no setting; did you mean dokploy.url?"),
        ("port: high", "port: it must be a whole number, not 'high'"),
        ("port: 80000", "port: it must be at most 65535, not 80000"),
        ("port: yes", "port: it must be a whole number, not true"),
        ("embedded: {builds_concurrency: yes}", "builds_concurrency: it must be a whole number"),
        ("embedded: {sites_port: no}", "sites_port: it must be a whole number, not false"),
        ("retention: {bodies: yes}", "retention.bodies: it must be a number, not true"),
        ("data: 5", "data: it must be a path (in quotes, if it looks like a number), not 5"),
        ("log_level: loud", "log_level: it must be 'debug', 'info', 'warning' or 'error', not 'lo"),
        ("feedback: {enabled: maybe}", "feedback.enabled: it must be true or false, not 'maybe'"),
        ("retention: {bodies: -1}", "retention.bodies: it must be greater than 0.0, not -1"),
        ("slack: 7", "slack: it must hold settings by name, not 7"),
        ("dokploy: hunter2", "dokploy: it must hold settings by name\n"),
        ("dokploy: [a]", "dokploy: it must hold settings by name, not a list"),
        ("github: {app_id: one}", "github.app_id: it must be a whole number, not 'one'"),
        ("dokploy: {url: d.example.com}", "like https://example.com (it is 'd.example.com')"),
        ("dokploy: {url: 'https://me:hunter2@d'}", "must look like https://example.com\n"),
        ("rules: [{apps: a, prereleases: x}]", "'deploy', 'skip' or 'only', not 'x'"),
        ("access: [{who: [everyone], may: [own]}]", "or 'override', not 'own'"),
        ("github: {app_id: ghp_hunter2}", "github.app_id: it must be a whole number\n"),
        ("backends: {a: {ulr: x}}", "backends.a.ulr is no setting; did you mean backends.a.url?"),
        ("backends: {a: {api_key: {hunter2: 1}}}", "backends.a.api_key: it must be a text"),
        ("embedded: {host: [1]}", "(in quotes, if it looks like a number), not a list"),
        (f"slack: {{team_id: '{'x' * 99}'}}", f"(it is '{'x' * 60}…')"),
        ("github: {token: 4711}", "github.token: it must be a text"),
        ("identities: {ada: [U012AB3CD]}", "identities.ada.0: 'U012AB3CD' is no account or"),
        ("identities: {ada: ['slack:S012']}", "'slack:S012' is no account or address: write slack"),
        ("identities: {ada: ['github:@org']}", "'github:@org' is no account or address"),
        ("identities: {ada: ['gtihub:ada']}", "'gtihub:ada' is no account or address"),
        ("identities: {ada: ['github:#5']}", "write the login beside it, github:LOGIN"),
        ("identities: {ada: ['gitea/two:ada']}", "there is no server 'gitea/two'"),
        (
            "identities: {ada: ['github:Ada'], bob: ['x@y.z', 'github:ada']}",
            "identities: github:ada is in 'ada' and in 'bob': whoever has both is one person",
        ),
        ("[1]", "must hold settings by name, not a list"),
        ("hello", "must hold settings by name, not a text"),
        ("a: [", "is not YAML, line 1"),
    ],
)
def test_a_wrong_file_says_where_and_how_to_mend_it(cli: Cli, text: str, words: str) -> None:
    Path("bridge.yaml").write_text(text)

    told = cli("config", "check", code=2).stderr

    assert words in told.replace(" (bridge.yaml, line 1)", "")
    assert "bridge.yaml" in told
    assert "hunter2" not in told
    assert len(told.splitlines()) == 1


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        (f"a: [{SECRET}", "line 1", "a list's bracket stays open"),
        (f"port: 80\n\thost: {SECRET}", "line 2", "YAML takes only spaces"),
        (f'port: 80\nhost: "{SECRET}\n', "line 3", "a quote stays open"),
        (f"github:\n  token: {SECRET}: x", "line 2", "a colon too many"),
        (f"github:\n  token: *{SECRET}", "line 2", "a value begins with `*`: put it in quotes"),
        (f"github:\n  token: !{SECRET} x", "line 2", "a value begins with `!`: put it in quotes"),
        (f"github:\n  token: @{SECRET}", "line 2", "put it in quotes"),
        (f'github: {{token: "{SECRET}\\q"}}', "line 1", "a backslash is in double quotes"),
        (f"github:\n  token: {SECRET}\n port: 3", "line 3", "are not indented alike"),
        (f"dokploy {SECRET}\nport: 1", "line 2", "a colon too many"),
        (f"a: {{b: {SECRET}\nc: 2", "line 2", "a curly bracket stays open"),
        (f"a: 1\n---\nb: {SECRET}", "line 2", "only one is allowed"),
        (f"a: {SECRET}\x07", "", "it contains a control character"),
    ],
)
def test_broken_yaml_is_told_with_its_cause_and_without_its_text(
    cli: Cli, text: str, where: str, remedy: str
) -> None:
    Path("bridge.yaml").write_text(text)

    said = cli("config", "check", code=2).stderr

    assert f"bridge.yaml is not YAML{', ' * bool(where)}{where}: " in said
    assert remedy in said
    assert SECRET not in said
    as_variable = cli("config", "check", code=2, BRIDGE_CONFIG="/dev/null", BRIDGE_RULES=text)
    assert SECRET not in as_variable.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port: 1\nhost: localhost\nport: 2", "'port' is given twice, in lines 1 and 3"),
        ("github:\n  token: a\n  'token': b", "'token' is given twice, in lines 2 and 3"),
        ("github: {token: a}\nslack: {}\ngithub: {}", "'github' is given twice, in lines 1 and 3"),
        ("rules:\n- apps: a\n  tags: b\n  tags: c", "'tags' is given twice, in lines 3 and 4"),
        ("port: 1\nport: 1", "'port' is given twice, in lines 1 and 2"),
        ("github: {token: a, token: b}", "'token' is given twice, in line 1"),
    ],
)
def test_a_key_is_not_given_twice(cli: Cli, text: str, told: str) -> None:
    Path("bridge.yaml").write_text(text)

    assert (
        cli("config", "check", code=2).stderr == f"error: bridge.yaml: {told}; keep one of them\n"
    )
    twice = {"BRIDGE_CONFIG": "/dev/null", "BRIDGE_RULES": "[{apps: a, apps: b}]"}
    told = cli("config", "check", code=2, **twice).stderr
    assert "rules (BRIDGE_RULES): 'apps' is given twice, in line 1" in told


def test_sections_share_what_an_anchor_names(cli: Cli) -> None:
    Path("bridge.yaml").write_text(
        "backends:\n"
        "  a: &a {url: https://a.example.com, api_key: k}\n"
        "  b: {<<: *a, url: https://b.example.com}\n"
    )

    cli("config", "check")


def test_a_file_of_another_encoding_is_told(cli: Cli) -> None:
    Path("bridge.yaml").write_bytes(b"host: \xff\xfe\n")

    assert "it is not UTF-8; save it as UTF-8" in cli("config", "check", code=2).stderr


def test_a_file_that_is_not_there_is_an_error(cli: Cli) -> None:
    assert "none.yaml can't be read" in cli("config", "check", "-c", "none.yaml", code=2).stderr
    result = cli("config", "check", code=2, BRIDGE_DOKPLOY_API_KEY_FILE="none")
    assert "BRIDGE_DOKPLOY_API_KEY_FILE: none can't be read" in result.stderr


def test_no_secret_is_ever_shown(cli: Cli) -> None:
    environment = dict.fromkeys(SECRETS, "hunter2")
    environment["BRIDGE_GITLAB_SIGNING_TOKENS"] = "whsec_hunter2"

    shown = cli("config", "show", code=0, **environment).output

    assert "hunter2" not in shown
    assert 'api_key: "********"  # BRIDGE_DOKPLOY_API_KEY' in shown
    assert 'webhook_secrets: ["********"]' in shown


def test_every_setting_that_sounds_secret_is_one() -> None:
    from bridge.settings import Settings

    words = ("secret", "token", "api_key", "private_key", "database_url", "webhook")
    for path, field in fields(Settings):
        sounds = path[-1] != "token_auth" and any(word in path[-1] for word in words)
        assert is_secret(field) == sounds, path


@pytest.mark.parametrize("name", ["shop/*", "shöp-🚀", "a\u200bb", "a\U000e0001b", "x\u202ey"])
@pytest.mark.parametrize("charset", ["utf-8", "ascii"])
def test_what_is_shown_can_be_read_again(cli: Cli, name: str, charset: str) -> None:
    rules = json.dumps([{"apps": name, "tags": "v*", "only_newer": True}] * 3, ensure_ascii=False)

    runner = CliRunner(charset=charset)
    shown = runner.invoke(app, ["config", "show"], env={"BRIDGE_RULES": rules}).stdout
    assert not re.search(f"(?!\n)[{STEERING}]", shown)
    assert shown.isascii() or (charset == "utf-8" and "shöp-🚀" in shown)
    assert all(len(line) <= 80 for line in shown.splitlines())
    Path("bridge.yaml").write_text(shown)

    assert cli("config", "check").stdout == "ok\n"
    assert (
        read_settings(None, {}).rules
        == read_settings(Path(os.devnull), {"BRIDGE_RULES": rules}).rules
    )


def test_the_schema_names_every_section(cli: Cli) -> None:
    schema = json.loads(cli("config", "schema").stdout)

    sections = {path[0] for path in variables().values()}
    assert sections <= set(schema["properties"])
    assert schema["title"] == "bridge.yaml"


@pytest.mark.parametrize(
    ("access", "why"),
    [
        ("[{who: [Ada], may: [deploy]}]", "'Ada' names nobody"),
        ("[{who: [Ada], may: [deploy]}]", "a login (github:ada)"),
        ("[{who: [Ada], may: [deploy]}]", "a user id of Slack (U…)"),
        ("[{who: ['github:a b'], may: [deploy]}]", "'github:a b' names nobody: write a login"),
        ("[{who: ['github:@o/t/u'], may: [deploy]}]", "a team (github:@my-org, github:@my-org/t"),
        ("[{who: ['github:#x'], may: [deploy]}]", "the id of an account (github:#583231)"),
        ("[{who: ['gitlab:'], may: [deploy]}]", "a group (gitlab:@my-group/subgroup)"),
        ("[{who: ['oidc:@'], may: [deploy]}]", "a group's name (oidc:@deployers)"),
        ("[{who: ['bitbucket:ada'], may: [deploy]}]", "an email domain (@example.com) or everyone"),
        ("[{who: ['@nowhere'], may: [deploy]}]", "names nobody"),
        ("[{who: [everyone], may: [own]}]", "access.0.may"),
        ("[{who: [everyone]}]", "access.0.may"),
        ("[{who: [everyone], may: [view], channels: ['#ops']}]", "is no channel id"),
        ("[{who: [everyone], may: [view], app: x}]", "did you mean access.0.apps?"),
    ],
)
def test_a_grant_that_grants_nothing_is_an_error(access: str, why: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_settings(None, {"BRIDGE_ACCESS": access})

    assert why in str(refused.value)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_no_secret_stands_in_quotes(cli: Cli, quote: str) -> None:
    """They stay where a file of variables has them, and would be part of the secret."""
    secrets = [path for path, field in fields(Settings) if is_secret(field)]
    assert len(secrets) > 8
    for path in secrets:
        if path in {("database_url",), ("discord", "webhooks")}:  # it has a scheme; it is YAML
            continue
        if path[-1] == "repository_secrets":  # it is YAML
            continue
        variable = f"BRIDGE_{'_'.join(path).upper()}"
        given = {variable: f"{quote}{'a1' * 16}{quote}"}

        told = cli("config", "check", code=2, **given).stderr

        assert f"({variable}): it stands in quotes, which would be part of it" in told


def app_of(service: str) -> dict[str, str]:
    client = f"BRIDGE_{service}_CLIENT"
    return {f"{client}_ID": "1.2", f"{client}_SECRET": "shh-secret"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"BRIDGE_GITHUB_SIGN_IN_CLIENT_ID": "Iv1"}, "client_secret is missing"),
        ({"BRIDGE_GITLAB_SIGN_IN_CLIENT_SECRET": "shh-secret"}, "client_id is missing"),
        ({"BRIDGE_CONSOLE_OIDC_ISSUER": "https://id.example.com"}, "client_id and client_secret"),
        (app_of("CONSOLE_OIDC"), "issuer is missing"),
        (app_of("SLACK_SIGN_IN"), "set BRIDGE_SLACK_BOT_TOKEN"),
        ({"BRIDGE_CONSOLE_OIDC_SCOPES": "openid, a b"}, "'a b' is no scope"),
        ({"BRIDGE_CONSOLE_OIDC_TITLE": "a\nb"}, "on one line"),
        ({"BRIDGE_GITHUB_SIGN_IN_CLIENT_ID": "a b"}, "without spaces"),
    ],
)
def test_a_sign_in_that_can_t_work_is_an_error(given: dict[str, str], why: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_settings(None, given)

    assert why in str(refused.value)
    assert "shh-secret" not in str(refused.value)


def test_what_is_read_well_and_can_t_be_meant_is_told_with_its_line(cli: Cli) -> None:
    Path("other.yaml").write_text('rules:\n  - apps: shop/*\n  - apps: shop/web\n    tags: "[v"\n')

    told = cli("config", "check", "-c", "other.yaml").stderr

    assert "warning: rules.1.tags (other.yaml, line 4): '[v' never matches" in told
