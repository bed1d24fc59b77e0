"""What `config check` finds: errors, and what may not be meant."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.doctor.apps import IN_NO_BACKEND
from bridge.backends.dokploy.provider import DOKPLOY
from tests.worlds.cli import Cli


def test_a_dokploy_without_its_key_is_found_by_the_check(cli: Cli) -> None:
    url = "https://dokploy.example.com"

    assert "BRIDGE_DOKPLOY_API_KEY" in cli("config", "check", code=2, BRIDGE_DOKPLOY_URL=url).stderr
    named = cli("config", "check", code=2, BRIDGE_BACKENDS=f"{{second: {{url: '{url}'}}}}").stderr
    assert "backends.second.api_key" in named


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
        ["warning", "rules.0.tags (bridge.yaml, line 3)", "`v[!0-9]*`"],
        ["warning", "rules.1.watch_paths (bridge.yaml, line 4)", "`docs`"],
        ["error", "rules.0.apps (bridge.yaml, line 3)", "`[z-a]`"],
        ["error", "rules.0.branch (bridge.yaml, line 3)", "`` can't be read as a glob"],
        ["error", "rules.1.watch_paths (bridge.yaml, line 4)", "`/web/**`"],
    ]
    assert result.stderr.endswith("Write `web/**`.\n")
    assert "ok" not in result.stdout


NOTHING_DEPLOYS = [
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
]
NOTHING_IS_VERIFIED = [
    ("verify: {url: 'http://web.example.com:99999/'}", "a port is a number from 1 to 65535"),
    ("verify: {url: 'http://web.example.com:0/'}", "a port is a number from 1 to 65535"),
    ("verify: {url: 'http://exa mple.com/'}", "it must look like https://example.com"),
    (
        "verify: {url: 'https://me:hunter2@web.example.com/'}",
        "it must look like https://example.com",
    ),
    ("verify: {url: 'http://-web-/'}", "a name has letters"),
    ("verify: {url: 'http://2130706433/'}", "an IPv4 address has four numbers"),
    ('verify: {url: "http://web.example.com/\\nx"}', "it must look like https://example.com"),
    ("verify: {url: '/a b'}", "a space or a control character"),
    ("verify: {url: //web.example.com/}", "is no address: write a path such as /healthz"),
    ("verify: {status: [200, 99]}", "'99' is no HTTP status"),
    ("verify: {status: true}", "'True' is no HTTP status"),
    ("verify: {status: 2.5}", "'2.5' is no HTTP status"),
    ("verify: {status: [[200, 299]]}", "is no HTTP status"),
    ("verify: {status: []}", "is no HTTP status"),
    ("verify: {true: false}", "rules.0.verify.true is no setting"),
]


@pytest.mark.parametrize(("rule", "told"), [*NOTHING_DEPLOYS, *NOTHING_IS_VERIFIED])
def test_a_rule_that_lets_nothing_deploy_or_verifies_nothing_is_told(
    cli: Cli, rule: str, told: str
) -> None:
    code = 2 if "watch_paths" in rule or "verify" in rule else 0

    result = cli("config", "check", code=code, BRIDGE_RULES=f"[{{apps: web, {rule}}}]")

    assert told in result.stderr
    assert "verify" not in rule or "rules.0.verify" in result.stderr
    assert "hunter2" not in result.output


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


def test_a_check_says_how_slack_is_heard_and_what_is_missing(cli: Cli) -> None:
    token = {"BRIDGE_SLACK_BOT_TOKEN": "xoxb-1"}
    everyone = '[{"who": ["everyone"], "may": ["deploy"]}]'

    none = cli("config", "check").stderr
    deaf = cli("config", "check", code=0, **token).stderr
    both = {"BRIDGE_SLACK_SIGNING_SECRET": "a", "BRIDGE_SLACK_APP_TOKEN": "xapp-1"}
    heard = cli("config", "check", code=0, BRIDGE_ACCESS=everyone, **token, **both).stderr

    assert "slack" not in none
    assert "slack requests can't be received; set BRIDGE_SLACK_SIGNING_SECRET" in deaf
    assert "nobody may do anything by slack" in deaf
    assert heard.splitlines()[-1] == "slack requests are received by HTTP and Socket Mode"


SECRETS = [
    ("SLACK_SIGNING_SECRET", "a" * 32, "slack is not used: BRIDGE_SLACK_BOT_TOKEN is not set"),
    ("SLACK_APP_TOKEN", "xapp-1", "slack is not used: BRIDGE_SLACK_BOT_TOKEN is not set"),
    ("SLACK_SIGNING_SECRET", "hunter2", "slack.signing_secret: Slack makes it with 32 hexa"),
    ("SLACK_APP_TOKEN", "hunter2", "slack.app_token: Slack makes it with xapp- in front"),
    ("SLACK_BOT_TOKEN", "hunter2", "slack.bot_token: Slack makes it with xoxb- in front"),
    ("GITHUB_TOKEN", "ghp_1", "github is not served: BRIDGE_GITHUB_WEBHOOK_SECRETS is not set"),
    ("GITLAB_TOKEN", "glpat-1", "gitlab is not served: BRIDGE_GITLAB_WEBHOOK_TOKENS is not"),
]
PORTS = [
    ({"PORT": "8090"}, "embedded.port: 8090 is the port of the bridge itself"),
    ({"PORT": "8091"}, "embedded.sites_port: 8091 is the port of the bridge itself"),
    ({"BRIDGE_EMBEDDED_PORT": "65535"}, "there is no next one for the sites"),
    ({"PORT": "7", "BRIDGE_EMBEDDED_SITES_PORT": "7"}, "with BRIDGE_EMBEDDED_SITES_PORT"),
]


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        *(({f"BRIDGE_{name}": value}, 0, f"warning: {says}") for name, value, says in SECRETS),
        *((given, 2, says) for given, says in PORTS),
    ],
)
def test_a_check_says_which_port_is_given_twice_what_lacks_and_what_is_hardly_a_secret(
    cli: Cli, given: dict[str, str], code: int, says: str
) -> None:
    told = cli("config", "check", code=code, **given).stderr

    assert says in told
    assert "hunter2" not in told


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


def test_of_several_secrets_it_is_said_how_many_are_short_and_nothing_of_long_ones(
    cli: Cli,
) -> None:
    given = {
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": f"old, {'n' * 16}",
        "BRIDGE_GITLAB_SIGNING_TOKENS": f"whsec_{'A' * 43}=",
    }

    (remark,) = cli.json("config", "check", **given)["remarks"]

    assert remark["level"] == "warning"
    assert remark["message"].startswith("github.webhook_secrets: 1 of 2 secrets can be guessed")


def test_apps_that_wait_for_each_other_are_named(cli: Cli) -> None:
    (cli.folder / "bridge.yaml").write_text(
        "rules:\n  - {apps: shop/web, after: shop/api}\n  - {apps: shop/api, after: shop/web}\n"
    )

    told = cli("config", "check", code=2)

    assert "so none of them would ever deploy" in told.output
    assert "take one of these out of `after`" in told.output


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://10.0.0.7/healthz", True),
        ("http://localhost:8080/", True),
        ("http://[::1]/", True),
        ("http://169.254.169.254/", True),
        ("http://192.168.7.1/", False),
        ("https://web.example.com/", False),
        ("/healthz", False),
    ],
)
def test_an_address_to_verify_that_is_never_asked_is_named(
    cli: Cli, url: str, *, warned: bool
) -> None:
    rules = json.dumps([{"apps": "shop/*", "verify": {"url": url}}])

    found = cli("config", "check", BRIDGE_RULES=rules, BRIDGE_VERIFY_ALLOW="192.168.7.0/24")

    said = found.stdout + found.stderr
    assert ("rules.0.verify.url" in said and "`verify.allow`" in said) is warned


@pytest.mark.parametrize(
    ("verify", "shown"),
    [
        ("{status: [200, 404]}", {"status": ["200", "404"]}),
        ("{status: '200, 404'}", {"status": ["200", "404"]}),
        ("{status: [2xx, 300-302]}", {"status": ["2xx", "300-302"]}),
        ("{status: 204}", {"status": ["204"]}),
        ("{on: false}", {"on": False}),
        ("{url: 'https://web.example.com/?a=b'}", {"url": "https://web.example.com/?a=b"}),
    ],
)
def test_a_rule_to_verify_is_shown_as_it_may_be_written(
    cli: Cli, verify: str, shown: dict[str, object]
) -> None:
    rules = f"[{{apps: shop/*, verify: {verify}}}]"

    (rule,) = cli.json("config", "show", BRIDGE_RULES=rules)["rules"]["value"]

    assert shown.items() <= rule["verify"].items()
    cli("config", "check", BRIDGE_RULES=json.dumps([rule]))


# ── previews ─────────────────────────────────────────────────────────────────

PREVIEWS = "- {apps: shop/*, previews: true}"


def remarks_of_previews(cli: Cli, **settings: str) -> list[str]:
    found = cli.json("config", "check", **settings)["remarks"]
    assert {one["level"] for one in found} <= {"warning"}
    return [one["message"] for one in found if ".previews" in one["message"]]


def test_previews_without_a_credential_of_a_git_host_are_doubted(cli: Cli) -> None:
    (message,) = remarks_of_previews(cli, BRIDGE_RULES=PREVIEWS)

    assert message.startswith("rules.0.previews: no credential of a Git host is set: which files")
    assert message.endswith("set one, e.g. by `dokploy-bridge setup`")


@pytest.mark.parametrize(
    "settings",
    [
        {"BRIDGE_RULES": PREVIEWS, "BRIDGE_GITHUB_TOKEN": "ghp_of-a-test"},
        {"BRIDGE_RULES": "- {apps: shop/*, previews: false}"},
        {"BRIDGE_RULES": "- {apps: shop/*, branch: main}"},
    ],
)
def test_previews_that_can_work_are_not_doubted(cli: Cli, settings: dict[str, str]) -> None:
    assert remarks_of_previews(cli, **settings) == []


def test_previews_at_a_backend_that_makes_no_apps_are_doubted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bridge.app.doctor.apps.EMBEDDED_SPEAKS", replace(DOKPLOY, makes_apps=False)
    )
    told = remarks_of_previews(cli, BRIDGE_RULES=PREVIEWS, BRIDGE_GITHUB_TOKEN="ghp_of-a-test")

    assert told == [f"rules.0.previews: {IN_NO_BACKEND.format('embedded')}; remove `previews`"]
