"""Settings: what wins, what is refused, and what is never shown."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.cli.root import app
from bridge.core.errors import Rejected
from bridge.core.log_text import STEERING
from bridge.settings import Settings, access_of, fields, is_secret, read_settings, variables
from tests.unit.cli.conftest import Cli

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


def test_the_environment_wins_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("port: 1\nhost: 1.2.3.4\ndokploy: {url: https://file, read_timeout: 3}\n")

    settings: Any = read_settings(file, {"PORT": "2", "BRIDGE_DOKPLOY_URL": "https://environment"})

    assert (settings.port, settings.host) == (2, "1.2.3.4")
    assert settings.dokploy.url == "https://environment"
    assert settings.dokploy.read_timeout == 3
    assert settings.web.max_body == 26 * 2**20


def test_several_secrets_are_separated_by_commas() -> None:
    settings: Any = read_settings(None, {"BRIDGE_GITHUB_WEBHOOK_SECRETS": "new, old"})

    found = [secret.get_secret_value() for secret in settings.github.webhook_secrets]
    assert found == ["new", "old"]


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")

    settings: Any = read_settings(None, {"BRIDGE_DOKPLOY_API_KEY_FILE": str(tmp_path / "key")})

    assert settings.dokploy.api_key is not None
    assert settings.dokploy.api_key.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    "variable",
    ["BRIDGE_DOKPLOY_URL", "BRIDGE_GITHUB_API_URL", "BRIDGE_GITLAB_URL", "BRIDGE_SLACK_API_URL"],
)
@pytest.mark.parametrize(
    "value", ["dokploy.example.com", "ftp://d", "https://", "https://u:hunter2@d"]
)
def test_what_is_no_address_is_found_by_the_check(cli: Cli, variable: str, value: str) -> None:
    told = cli("config", "check", code=2, **{variable: value}).stderr

    assert "it must look like https://example.com" in told
    assert "hunter2" not in told


def test_a_dokploy_without_its_key_is_found_by_the_check(cli: Cli) -> None:
    url = "https://dokploy.example.com"

    assert "BRIDGE_DOKPLOY_API_KEY" in cli("config", "check", code=2, BRIDGE_DOKPLOY_URL=url).stderr
    named = cli("config", "check", code=2, BRIDGE_BACKENDS=f"{{second: {{url: '{url}'}}}}").stderr
    assert "backends.second.api_key" in named


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
        ("dokploy: {ulr: x}", "dokploy.ulr is no setting; did you mean url?"),
        ("port: high", "port: it must be a whole number, not 'high'"),
        ("port: 80000", "port: it must be at most 65535, not 80000"),
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
        ("access: [{who: [everyone], may: [own]}]", "or 'configure', not 'own'"),
        ("github: {app_id: ghp_hunter2}", "github.app_id: it must be a whole number\n"),
        ("backends: {a: {ulr: x}}", "backends.a.ulr is no setting; did you mean url?"),
        ("backends: {a: {api_key: {hunter2: 1}}}", "backends.a.api_key: it must be a text"),
        ("embedded: {host: [1]}", "(in quotes, if it looks like a number), not a list"),
        (f"slack: {{team_id: '{'x' * 99}'}}", f"(it is '{'x' * 60}…')"),
        ("github: {token: 4711}", "github.token: it must be a text"),
        ("[1]", "must hold settings by name, not a list"),
        ("hello", "must hold settings by name, not a text"),
        ("a: [", "is not YAML, line 1"),
    ],
)
def test_a_wrong_file_says_where_and_how_to_mend_it(cli: Cli, text: str, words: str) -> None:
    Path("bridge.yaml").write_text(text)

    result = cli("config", "check", code=2)

    assert words in result.stderr
    assert "hunter2" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        (f"a: [{SECRET}", "line 1", "a list's bracket stays open"),
        (f"port: 80\n\thost: {SECRET}", "line 2", "a tab stands where spaces must"),
        (f'port: 80\nhost: "{SECRET}\n', "line 3", "a quote stays open"),
        (f"github:\n  token: {SECRET}: x", "line 2", "a colon too many"),
        (f"github:\n  token: *{SECRET}", "line 2", "a value begins with `*`: put it in quotes"),
        (f"github:\n  token: !{SECRET} x", "line 2", "a value begins with `!`: put it in quotes"),
        (f"github:\n  token: @{SECRET}", "line 2", "put it in quotes"),
        (f'github: {{token: "{SECRET}\\q"}}', "line 1", "a backslash stands between double quotes"),
        (f"github:\n  token: {SECRET}\n port: 3", "line 3", "are not indented alike"),
        (f"dokploy {SECRET}\nport: 1", "line 2", "a colon too many"),
        (f"a: {{b: {SECRET}\nc: 2", "line 2", "a curly bracket stays open"),
        (f"a: 1\n---\nb: {SECRET}", "line 2", "there may be one"),
        (f"a: {SECRET}\x07", "", "a control character is in it"),
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


def test_a_key_of_a_variable_is_not_given_twice(cli: Cli) -> None:
    told = cli("config", "check", code=2, BRIDGE_RULES="[{apps: a, apps: b}]").stderr

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

    assert "it is not UTF-8; save it as that" in cli("config", "check", code=2).stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("BRIDGE_PORT", "80000", "port (BRIDGE_PORT): it must be at most 65535, not '80000'"),
        ("PORT", "http", "port (PORT): it must be a whole number, not 'http'"),
        ("BRIDGE_SLACK_BOT_TOKEN", "xapp-hunter2", "it is the App-Level Token (xapp-…"),
        ("BRIDGE_SLACK_APP_TOKEN", "xoxb-hunter2", "that is BRIDGE_SLACK_BOT_TOKEN, and here bel"),
        ("BRIDGE_SLACK_SIGNING_SECRET", "xoxb-hunter2", "here belongs the Signing Secret (Basic"),
        ("BRIDGE_SLACK_BOT_TOKEN", "xoxp-hunter2", "so it is a person's token; here belongs the B"),
        ("BRIDGE_GITHUB_TOKEN", "glpat-hunter2", "a token of GitLab; here belongs one of GitHub"),
        ("BRIDGE_GITLAB_TOKEN", "github_pat_hunter2", "a token of GitHub; here belongs one of"),
    ],
)
@pytest.mark.parametrize("command", [["config", "check"], ["serve"]])
def test_a_variable_that_is_wrong_is_told_by_its_name(
    cli: Cli, command: list[str], variable: str, value: str, words: str
) -> None:
    result = cli(*command, code=2, **{variable: value})

    assert words in result.stderr
    assert f"({variable}): " in result.stderr
    assert "hunter2" not in result.stderr
    assert "ok" not in result.stdout


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


def test_what_is_set_is_shown_to_scripts_with_secrets_masked(cli: Cli) -> None:
    Path("bridge.yaml").write_text("web: {max_body: 2048}\nrules: [{apps: shop/*, tags: v*}]\n")
    backends = "{second: {url: 'https://d.example.com', api_key: hunter2}}"
    given = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": "hunter2, hunter3", "BRIDGE_BACKENDS": backends}

    shown = cli.json("config", "show", PORT="99", **given)

    assert shown["port"] == {"value": 99, "from": "PORT"}
    assert shown["web"]["max_body"] == {"value": 2048, "from": "bridge.yaml"}
    assert shown["web"]["body_timeout"] == {"value": 10.0, "from": "default"}
    assert shown["rules"]["value"] == [{"apps": "shop/*", "tags": "v*"}]
    masked = {"value": ["********"] * 2, "from": "BRIDGE_GITHUB_WEBHOOK_SECRETS"}
    assert shown["github"]["webhook_secrets"] == masked
    assert shown["github"]["token"] == {"value": None, "from": "default"}
    assert "hunter" not in str(shown)


def test_show_leaves_out_no_setting(cli: Cli) -> None:
    from bridge.settings import Settings

    shown = cli.json("config", "show")

    for path, _ in fields(Settings):
        found = shown
        for name in path:
            found = found[name]
        assert set(found) == {"value", "from"}, path


def test_every_setting_that_sounds_secret_is_one() -> None:
    from bridge.settings import Settings

    words = ("secret", "token", "api_key", "private_key", "database_url")
    for path, field in fields(Settings):
        assert is_secret(field) == any(word in path[-1] for word in words), path


def test_show_says_where_values_come_from(cli: Cli) -> None:
    Path("bridge.yaml").write_text("host: 0.0.0.0\nweb: {max_body: 2048}\n")

    lines = cli("config", "show", PORT="99").stdout.splitlines()

    assert 'host: "0.0.0.0"  # bridge.yaml' in lines
    assert "port: 99  # PORT" in lines
    assert "  max_body: 2048  # bridge.yaml" in lines
    assert "  body_timeout: 10.0  # default" in lines


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


def test_rules_whose_patterns_can_not_be_read_are_errors(cli: Cli) -> None:
    Path("bridge.yaml").write_text(
        """
        rules:
          - {apps: "[z-a]", branch: "", tags: "v[!0-9]*"}
          - {apps: shop/*, watch_paths: [/web/**, docs, "web/**"]}
        """
    )

    result = cli("config", "check", code=2)

    told = [line.split(": ")[:3] for line in result.stderr.splitlines()]
    assert told == [
        ["warning", "rules.0.tags", "`v[!0-9]*`"],
        ["warning", "rules.1.watch_paths", "`docs`"],
        ["error", "rules.0.apps", "`[z-a]`"],
        ["error", "rules.0.branch", "`` can't be read as a glob"],
        ["error", "rules.1.watch_paths", "`/web/**`"],
    ]
    assert result.stderr.endswith("Write `web/**`.\n")
    assert "ok" not in result.stdout


def test_what_may_be_meant_is_only_a_warning(cli: Cli) -> None:
    rules = "- {apps: shop/*, watch_paths: [docs, 'web/**', '!web/**/*.md'], branch: release/*}"

    result = cli("config", "check", BRIDGE_RULES=rules)

    assert result.stdout == "ok\n"
    assert result.stderr.startswith("warning: rules.0.watch_paths: `docs`: it matches only")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("branch: refs/heads/main", "rules.0.branch: 'refs/heads/main' never matches: a branch is"),
        ("branch: a b", "rules.0.branch: 'a b' never matches: no branch has a space"),
        ("tags: refs/tags/v*", "rules.0.tags: 'refs/tags/v*' never matches: a tag is"),
        ("tags: 'v*^'", "rules.0.tags: 'v*^' never matches"),
        ("tags: '*.lock'", "rules.0.tags: '*.lock' never matches"),
        ("tags: 'v['", "rules.0.tags: 'v[' never matches"),
        ("versions: '>2 <1'", "rules.0.versions: no version is in '>2 <1'"),
        ("versions: '>1.2.3 <1.2.4'", "rules.0.versions: with prereleases: skip, no version in"),
        ("tag_prefix: 'api v'", "rules.0.tag_prefix: 'api v' never matches: no tag has a space"),
        ("tag_prefix: refs/tags/v", "rules.0.tag_prefix: 'refs/tags/v' never matches: a tag is"),
        ("tag_prefix: 'api-*'", "rules.0.tag_prefix: 'api-*' never matches: it is no glob"),
        ("tag_prefix: /v", "rules.0.tag_prefix: '/v' never matches: no tag begins with a slash"),
        ("trigger: push, tags: v*", "rules.0.tags: it is about tags"),
        ("trigger: push, only_newer: true", "rules.0.only_newer: it is about tags"),
        ("watch_paths: ['!**']", "rules.0.watch_paths: `!**`: it excludes every file"),
        ("watch_paths: [web/**, '!**']", "rules.0.watch_paths: `!**`: it excludes every file"),
    ],
)
def test_a_rule_that_lets_nothing_deploy_is_told(cli: Cli, rule: str, told: str) -> None:
    code = 2 if "watch_paths" in rule else 0

    result = cli("config", "check", code=code, BRIDGE_RULES=f"[{{apps: web, {rule}}}]")

    assert told in result.stderr


@pytest.mark.parametrize(
    "rule",
    [
        "branch: release/*, watch_paths: ['**', '!docs/**']",
        "trigger: tag, tags: v*, versions: '>=1.2 <2', only_newer: true",
        "versions: '>1.2.3 <1.2.4', prereleases: only",
        "versions: '1.2.3-rc.1', prereleases: deploy",
        "versions: '>2 <1 || 3.x'",
        "tag_prefix: api/v-",
        "tag_prefix: ''",
        "watch_paths: ['.github/**', '!**']",
    ],
)
def test_a_rule_that_lets_something_deploy_is_not_called_empty(cli: Cli, rule: str) -> None:
    result = cli("config", "check", BRIDGE_RULES=f"[{{apps: web, {rule}}}]")

    assert not any(word in result.stderr for word in ("never", "no version", "excludes every"))


def test_the_meaning_of_watch_paths_decides_what_is_wrong_with_them(cli: Cli) -> None:
    rules = "- {apps: shop/*, watch_paths: ['web/**', '!web/**/*.md']}"

    result = cli("config", "check", code=2, BRIDGE_RULES=rules, BRIDGE_WATCH_SEMANTICS="any")

    assert "excludes nothing" in result.stderr


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"BRIDGE_GITHUB_APP_ID": "1"}, "BRIDGE_GITHUB_PRIVATE_KEY"),
        ({"BRIDGE_GITHUB_TOKEN": "hunter2 hunter2"}, "BRIDGE_GITHUB_TOKEN): it has spaces"),
        ({"BRIDGE_GITLAB_TOKEN": "hunter2", "BRIDGE_GITLAB_URL": "gitlab"}, "must look like"),
    ],
)
def test_a_credential_for_a_host_is_checked(cli: Cli, given: dict[str, str], why: str) -> None:
    result = cli("config", "check", code=2, **given)

    assert why in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"PORT": "8090"}, "embedded.port: 8090 is the port of the bridge itself"),
        ({"PORT": "8091"}, "embedded.sites_port: 8091 is the port of the bridge itself"),
        ({"BRIDGE_EMBEDDED_PORT": "65535"}, "the sites get the next one, which is none"),
        ({"PORT": "7", "BRIDGE_EMBEDDED_SITES_PORT": "7"}, "with BRIDGE_EMBEDDED_SITES_PORT"),
    ],
)
def test_a_port_is_not_given_twice(cli: Cli, given: dict[str, str], why: str) -> None:
    assert why in cli("config", "check", code=2, **given).stderr


@pytest.mark.parametrize(
    ("access", "why"),
    [
        ("[{who: [Ada], may: [deploy]}]", "'Ada' is nobody"),
        ("[{who: ['@nowhere'], may: [deploy]}]", "is nobody"),
        ("[{who: [everyone], may: [own]}]", "access.0.may"),
        ("[{who: [everyone]}]", "access.0.may"),
        ("[{who: [everyone], may: [view], channels: ['#ops']}]", "no channel's id"),
        ("[{who: [everyone], may: [view], app: x}]", "did you mean apps?"),
    ],
)
def test_a_grant_that_grants_nothing_is_an_error(access: str, why: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_settings(None, {"BRIDGE_ACCESS": access})

    assert why in str(refused.value)


def test_grants_are_read() -> None:
    access = "[{who: [U012AB3CD, '@example.com'], may: [deploy], apps: [shop/*]}]"
    (grant,) = access_of(read_settings(None, {"BRIDGE_ACCESS": access})).grants

    assert grant.who == ("U012AB3CD", "@example.com")
    assert grant.may == {"deploy"}
    assert grant.apps == ("shop/*",)


def test_a_check_says_how_slack_is_heard_and_what_is_missing(cli: Cli) -> None:
    token = {"BRIDGE_SLACK_BOT_TOKEN": "xoxb-1"}
    everyone = '[{"who": ["everyone"], "may": ["deploy"]}]'

    none = cli("config", "check").stderr
    deaf = cli("config", "check", code=0, **token).stderr
    both = {"BRIDGE_SLACK_SIGNING_SECRET": "a", "BRIDGE_SLACK_APP_TOKEN": "xapp-1"}
    heard = cli("config", "check", code=0, BRIDGE_ACCESS=everyone, **token, **both).stderr

    assert "slack" not in none
    assert "slack can't be heard: set BRIDGE_SLACK_SIGNING_SECRET" in deaf
    assert "nobody may do anything by slack" in deaf
    assert heard.splitlines()[-1] == "slack is heard by HTTP and Socket Mode"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SLACK_SIGNING_SECRET", "a" * 32, "slack is not used: BRIDGE_SLACK_BOT_TOKEN is not set"),
        ("SLACK_APP_TOKEN", "xapp-1", "slack is not used: BRIDGE_SLACK_BOT_TOKEN is not set"),
        ("SLACK_SIGNING_SECRET", "hunter2", "slack.signing_secret: Slack makes it with 32 hexa"),
        ("SLACK_APP_TOKEN", "hunter2", "slack.app_token: Slack makes it with xapp- in front"),
        ("SLACK_BOT_TOKEN", "hunter2", "slack.bot_token: Slack makes it with xoxb- in front"),
        ("GITHUB_TOKEN", "ghp_1", "github is not served: BRIDGE_GITHUB_WEBHOOK_SECRETS is not set"),
        ("GITLAB_TOKEN", "glpat-1", "gitlab is not served: BRIDGE_GITLAB_WEBHOOK_TOKENS is not"),
    ],
)
def test_a_check_says_what_is_missing_beside_a_secret_and_what_is_hardly_one(
    cli: Cli, variable: str, value: str, words: str
) -> None:
    told = cli("config", "check", code=0, **{f"BRIDGE_{variable}": value})

    assert any(line.startswith(f"warning: {words}") for line in told.stderr.splitlines())
    assert "hunter2" not in told.stderr


@pytest.mark.parametrize("quote", ["'", '"'])
def test_no_secret_stands_in_quotes(cli: Cli, quote: str) -> None:
    """They stay where a file of variables has them, and would be part of the secret."""
    secrets = [path for path, field in fields(Settings) if is_secret(field)]
    assert len(secrets) > 8
    for path in secrets:
        if path == ("database_url",):  # it begins with its scheme
            continue
        variable = f"BRIDGE_{'_'.join(path).upper()}"
        given = {variable: f"{quote}{'a1' * 16}{quote}"}

        told = cli("config", "check", code=2, **given).stderr

        assert f"({variable}): it stands in quotes, which would be part of it" in told


def test_a_check_tells_scripts_what_it_finds(cli: Cli) -> None:
    rules = "- {apps: shop/*, watch_paths: [docs]}"
    given = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": "s" * 32, "BRIDGE_SLACK_BOT_TOKEN": "xoxb-1"}
    dokploy = {
        "BRIDGE_DOKPLOY_URL": "https://dokploy.example.com",
        "BRIDGE_DOKPLOY_API_KEY": "k",
    }

    found = cli.json("config", "check", BRIDGE_RULES=rules, **given, **dokploy)

    assert (found["ok"], found["hosts"]) == (True, ["github"])
    assert found["backend"] == "https://dokploy.example.com"
    assert [one["level"] for one in found["remarks"]] == ["warning"] * 3
    assert found["remarks"][0]["message"].startswith("rules.0.watch_paths: `docs`: ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"BRIDGE_RULES": "[{apps: '[z-a]'}]"}, "rules.0.apps: `[z-a]`: its brackets"),
        ({"BRIDGE_GITHUB_APP_ID": "1"}, "BRIDGE_GITHUB_PRIVATE_KEY"),
        ({"BRIDGE_DOKPLOY_URL": "https://d.example.com"}, "BRIDGE_DOKPLOY_API_KEY"),
        ({"BRIDGE_PRT": "1"}, "BRIDGE_PRT is no setting"),
    ],
)
def test_scripts_hear_of_an_error_in_the_answer_and_the_exit_code(
    cli: Cli, given: dict[str, str], message: str
) -> None:
    result = cli("config", "check", "--json", code=2, **given)

    found = json.loads(result.stdout)
    assert (found["ok"], found["hosts"]) == (False, [])
    (error,) = found["remarks"]
    assert error["level"] == "error"
    assert message in error["message"]
    assert result.stderr == ""


def test_a_check_names_the_embedded_backend_where_no_dokploy_is_set(cli: Cli) -> None:
    assert cli.json("config", "check")["backend"] == "embedded"
    assert "deploys on the embedded backend" in cli("config", "check").stderr


def test_all_that_is_wrong_is_told_at_once(cli: Cli) -> None:
    told = cli(
        "config",
        "check",
        code=2,
        BRIDGE_GITHUB_APP_ID="1",
        BRIDGE_DOKPLOY_URL="https://d.example.com",
        BRIDGE_RULES="[{apps: '[z-a]'}]",
    ).stderr.splitlines()

    assert len(told) == 3
    assert all(line.startswith("error: ") for line in told)


@pytest.mark.parametrize(
    ("variable", "setting", "short", "remedy"),
    [
        ("GITHUB_WEBHOOK_SECRETS", "github.webhook_secrets", "Q" * 15, "`openssl rand -hex 32`"),
        ("GITLAB_WEBHOOK_TOKENS", "gitlab.webhook_tokens", "Q", "`openssl rand -hex 32`"),
        ("GITLAB_SIGNING_TOKENS", "gitlab.signing_tokens", "whsec_QQQQ", "GitLab make a new one"),
    ],
)
def test_a_short_secret_of_a_webhook_is_warned_of_and_goes_on_to_work(
    cli: Cli, variable: str, setting: str, short: str, remedy: str
) -> None:
    result = cli("config", "check", code=0, **{f"BRIDGE_{variable}": short})

    assert result.stdout == "ok\n"
    warning, served = result.stderr.splitlines()
    assert warning.startswith(f"warning: {setting}: the secret can be guessed: fewer than 16 ")
    assert remedy in warning
    assert short not in warning
    assert "hosts served: git" in served


def test_of_several_secrets_it_is_said_how_many_are_short(cli: Cli) -> None:
    given = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": f"old, {'n' * 16}"}

    (remark,) = cli.json("config", "check", **given)["remarks"]

    assert remark["level"] == "warning"
    assert remark["message"].startswith("github.webhook_secrets: 1 of 2 secrets can be guessed")


def test_no_secret_that_is_long_enough_is_warned_of(cli: Cli) -> None:
    given = {
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": "n" * 16,
        "BRIDGE_GITLAB_SIGNING_TOKENS": f"whsec_{'A' * 43}=",
    }

    assert cli.json("config", "check", **given)["remarks"] == []
