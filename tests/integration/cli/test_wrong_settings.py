"""Every setting has a wrong value, which is told by the setting's name and shows no secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.core.errors import Rejected
from bridge.settings import Settings, fields, is_secret, read_settings, variables
from tests.worlds.cli import Cli
from tests.worlds.rows import each_row

SECRET = "hunter2"
KEY = {"BRIDGE_GITHUB_APP_ID": "1"}
SLACK = {"BRIDGE_SLACK_BOT_TOKEN": "xoxb-1"}

WRONG: dict[str, str] = {
    "host": "999.1.1.1",
    "public_url": "bridge.example.com",
    "data": ".",
    "database_url": f"mysql://{SECRET}@db/x",
    "secret_key": SECRET,
    "backends": f"{{second: {{url: 'https://{SECRET}@d.example.com'}}}}",
    "rules": "[{apps: shop/*, trigger: never}]",
    "freezes": "[{from: noon, to: '18:00', reason: lunch}]",
    "access": "[{who: [Ada], may: [deploy]}]",
    "identities": "{ada: Ada}",
    "github.webhook_secrets": f"ghp_{SECRET}",
    "github.token": f"glpat-{SECRET}",
    "github.private_key": SECRET,
    "github.api_url": f"https://{SECRET}@api.github.com",
    "github.web_url": "https://git.example.com:99999",
    "github.ssh_host": "ssh://git.example.com",
    "github.ca": "no-such.pem",
    "github.feedback": "comments",
    "gitlab.webhook_tokens": f"glpat-{SECRET}",
    "gitlab.signing_tokens": f"whsec_{SECRET}!",
    "gitlab.token": f"ghp_{SECRET}",
    "gitlab.url": "https://999.1.1.1",
    "gitlab.web_url": "https://[::1",
    "gitlab.ssh_host": "ssh://git.example.com",
    "gitlab.ca": "bridge.yaml",
    "gitlab.feedback": "none,status",
    "gitea.webhook_secrets": f"glpat-{SECRET}",
    "gitea.url": f"https://{SECRET}@git.example.com",
    "gitea.web_url": "git.example.com",
    "gitea.ssh_host": "ssh://git.example.com",
    "gitea.token": f"ghp_{SECRET}",
    "gitea.ca": "no-such.pem",
    "giteas": f"{{second: {{url: 'https://{SECRET}@git.example.com'}}}}",
    "dokploy.url": "dokploy.example.com",
    "dokploy.api_key": f"{SECRET} {SECRET}",
    "dokploy.ca": ".",
    **{
        f"{host}.repository_secrets": f"{{no repository: {SECRET}}}"
        for host in ("github", "gitlab", "gitea")
    },
    "embedded.host": "127.0.0.1:8090",
    "embedded.sites_url": "sites.example.com",
    "verify.allow": "10.0.0.0/8, my-network",
    "slack.bot_token": f"xoxp-{SECRET}",
    "slack.signing_secret": f"xoxb-{SECRET}",
    "slack.app_token": f"xoxb-{SECRET}",
    "slack.team_id": "my team",
    "slack.channel": "#a, #b",
    "slack.api_url": "https://slack.com:port/api",
    **{
        f"{service}.client_id": "my client"
        for service in ("github.sign_in", "gitlab.sign_in", "slack.sign_in", "console.oidc")
    },
    **{
        f"{service}.client_secret": f"{SECRET} {SECRET}"
        for service in ("github.sign_in", "gitlab.sign_in", "slack.sign_in", "console.oidc")
    },
    "console.oidc.issuer": f"https://{SECRET}@id.example.com",
    "console.oidc.title": "x" * 41,
    "console.oidc.scopes": 'openid, "quoted"',
    "console.oidc.ca": "no-such.pem",
    "discord.webhook": f"https://discord.com/api/webhooks/1234567890/{SECRET}-{SECRET}?wait=true",
    "discord.webhooks": f"{{ops: 'https://discord.com/api/webhooks/{SECRET}'}}",
    "discord.api_url": "discord.com/api",
}
"""Of settings that are texts; whatever else there is can't be `WRONG_OTHERWISE`."""

WRONG_OTHERWISE = "of-no-kind"

ANYTHING = {"watch.skip_directives", "web.metrics_token", "console.oidc.groups_claim"}
"""Texts of which a variable can hold no wrong one; in the file they are not empty."""

BESIDE = {"github.private_key": KEY, "slack.channel": SLACK}
"""What else is set for a value to be looked at."""

ALL = [pytest.param(path, field, id=".".join(path)) for path, field in fields(Settings)]


def wrong(path: tuple[str, ...], field: Any) -> str:
    kind = str(field.annotation)
    text = "str" in kind.lower() or "Path" in kind or "tuple" in kind or "dict" in kind
    name = ".".join(path)
    assert text == (name in WRONG.keys() | ANYTHING) or "Literal" in kind, (
        f"{name} has no wrong value"
    )
    return WRONG.get(name, WRONG_OTHERWISE)


def variable_of(path: tuple[str, ...]) -> str:
    return f"BRIDGE_{'_'.join(path).upper()}"


@each_row(("path", "field"), [one for one in ALL if one.id not in ANYTHING])
@each_row("by_file", [False, True])
def test_a_wrong_variable_is_told_by_its_name(
    cli: Cli, path: tuple[str, ...], field: Any, by_file: bool
) -> None:
    Path("bridge.yaml").write_text("{}\n")
    value, variable = wrong(path, field), variable_of(path)
    beside = BESIDE.get(".".join(path), {})
    given = {variable: value}
    if by_file:
        Path("secret").write_text(value)
        given = {f"{variable}_FILE": "secret"}

    told = cli("config", "check", code=2, **beside, **given).stderr

    assert variable in told
    assert len(told.splitlines()) == 1
    assert SECRET not in told
    if is_secret(field):
        assert value not in told


def in_the_file() -> Iterator[Any]:
    """Each setting with each wrong value that it has."""
    for path, field in fields(Settings):
        for value in ("wrong", "empty", "a list of nothing"):
            name = ".".join(path)
            any_text_will_do = value == "wrong" and name in ANYTHING
            is_its_default = value == "empty" and name in {"slack.team_id", "slack.channel"}
            if not any_text_will_do and not is_its_default:
                yield pytest.param(path, field, value, id=f"{name}-{value}")


@each_row(("path", "field", "value"), list(in_the_file()))
def test_what_is_wrong_in_the_file_is_told_by_its_key(
    cli: Cli, path: tuple[str, ...], field: Any, value: str
) -> None:
    name = ".".join(path)
    given: Any = wrong(path, field)
    by_yaml = {"backends", "giteas", "rules", "freezes", "access"}
    if value == "wrong" and (name in by_yaml or path[-1] == "repository_secrets"):
        given = yaml.safe_load(given)
    elif value == "empty":
        given = [""] if "tuple" in str(field.annotation) else ""
    elif value == "a list of nothing":
        given = [None]
    for key in reversed(path):
        given = {key: given}
    Path("bridge.yaml").write_text(yaml.safe_dump(given))

    told = cli("config", "check", code=2, **BESIDE.get(name, {})).stderr

    assert name in told or variable_of(path) in told
    assert SECRET not in told


def test_an_empty_variable_leaves_the_file_alone(cli: Cli) -> None:
    Path("bridge.yaml").write_text("data: kept\nwatch: {skip_directives: []}\n")
    empty = {"BRIDGE_DATA": "", "BRIDGE_WATCH_SKIP_DIRECTIVES": "", "BRIDGE_CONFIG": ""}

    shown = cli.json("config", "show", **empty)

    assert shown["data"] == {"value": "kept", "from": "bridge.yaml"}
    assert shown["watch"]["skip_directives"] == {"value": [], "from": "bridge.yaml"}


LISTS = [
    path
    for path, field in fields(Settings)
    if "tuple" in str(field.annotation) and "dict" not in str(field.annotation)
]


@each_row("path", LISTS, ids=".".join)
@each_row("word", ["none", " None "])
def test_none_is_the_list_of_nothing(path: tuple[str, ...], word: str) -> None:
    found: Any = read_settings(None, {variable_of(path): word})

    for name in path:
        found = getattr(found, name)
    assert found == ()


@each_row("path", LISTS, ids=".".join)
def test_a_list_without_an_entry_is_refused(cli: Cli, path: tuple[str, ...]) -> None:
    told = cli("config", "check", code=2, **{variable_of(path): " , ,"}).stderr

    assert variable_of(path) in told


HOLD_SECRETS = [
    path
    for path, field in fields(Settings)
    if is_secret(field) and "dict" not in str(field.annotation)
]


@each_row("path", HOLD_SECRETS, ids=".".join)
def test_no_secret_is_the_word_none(cli: Cli, path: tuple[str, ...]) -> None:
    several = path in LISTS
    value = f"{'k' * 40},none" if several else "none"

    told = cli("config", "check", code=2, **{variable_of(path): value}).stderr

    assert variable_of(path) in told


@each_row("name", sorted(variables()))
@each_row("command", [["config", "check"], ["serve"]])
def test_a_setting_is_not_given_directly_and_by_a_file(
    cli: Cli, name: str, command: list[str]
) -> None:
    Path("secret").write_text(SECRET)

    told = cli(*command, code=2, **{name: SECRET, f"{name}_FILE": "secret"}).stderr

    assert f"{name} and {name}_FILE both give " in told
    assert SECRET not in told


@each_row(("one", "other"), [("BRIDGE_PORT", "PORT"), ("BRIDGE_DATABASE_URL", "DATABASE_URL")])
def test_two_names_of_a_setting_must_agree(cli: Cli, one: str, other: str) -> None:
    value = {"PORT": "8123", "DATABASE_URL": "postgres:///bridge"}[other]

    told = cli("config", "check", code=2, **{one: value, other: f"{value}1"}).stderr

    assert f"{one} and {other} both give " in told
    with pytest.raises(Rejected, match=f"{one}_FILE and {other} both give"):
        read_settings(None, {f"{one}_FILE": "/etc/passwd", other: value})
    assert read_settings(None, {one: value, other: value}) == read_settings(None, {one: value})


def test_a_file_that_holds_nothing_is_told(cli: Cli) -> None:
    Path("secret").write_text("\n")

    told = cli("config", "check", code=2, BRIDGE_DOKPLOY_API_KEY_FILE="secret").stderr

    assert "BRIDGE_DOKPLOY_API_KEY_FILE: secret is empty" in told


# ── backends ─────────────────────────────────────────────────────────────────


@each_row("name", ["embedded", "dokploy", "Dokploy", "a b", "a/b", "", "a.b", "\u00e4", "a" * 64])
def test_a_backend_has_a_name_that_can_be_told_from_others(cli: Cli, name: str) -> None:
    backends = {name: {"url": "https://a.example.com", "api_key": SECRET}}
    Path("bridge.yaml").write_text(yaml.safe_dump({"backends": backends}))

    told = cli("config", "check", code=2).stderr

    assert told.startswith(f"error: backends (bridge.yaml, line 1): '{name[:60]}")
    assert "can't be the name of a" in told
    assert SECRET not in told


@each_row(
    ("text", "named"),
    [
        ("dokploy: {api_key: hunter2}", ["BRIDGE_DOKPLOY_API_KEY", "BRIDGE_DOKPLOY_URL"]),
        ("backends: {a: {api_key: hunter2}}", ["backends.a.api_key", "backends.a.url"]),
        ("backends: {a: {read_retries: 1}}", ["backends.a.url"]),
    ],
)
@each_row("command", [["config", "check"], ["serve", "--port", "0"], ["provider", "accounts"]])
def test_a_dokploy_without_an_address_is_refused(
    cli: Cli, text: str, named: list[str], command: list[str]
) -> None:
    Path("bridge.yaml").write_text(text)

    told = cli(*command, code=2).stderr

    assert all(name in told for name in named)
    assert SECRET not in told


# ── addresses ────────────────────────────────────────────────────────────────

NO_HOSTS = [
    ("999.1.1.1", "an IPv4 address has four numbers"),
    ("1.2.3", "an IPv4 address has four numbers"),
    ("host.1", "an IPv4 address has four numbers"),
    ("0.0.0.0:80", "leave out the port"),
    ("localhost:80", "leave out the port"),
    ("[::]", "without brackets"),
    ("::1::", "it is no IPv6 address"),
    ("http://localhost", "leave out the scheme"),
    ("*", "write 0.0.0.0 or ::"),
    ("-a", "a name has letters"),
    ("a b", "a name has letters"),
    ("a..b", "a name has letters"),
    (f"{'a' * 64}.example", "a name has letters"),
]


@each_row(("value", "why"), NO_HOSTS)
@each_row(
    ("command", "variable"),
    [
        (["config", "check"], "BRIDGE_HOST"),
        (["config", "check"], "BRIDGE_EMBEDDED_HOST"),
        (["serve", "--port", "0"], "BRIDGE_HOST"),
        (["serve", "--host"], ""),
        (["backend", "--host"], ""),
    ],
)
def test_what_can_not_be_listened_on_is_told(
    cli: Cli, command: list[str], variable: str, value: str, why: str
) -> None:
    if variable:
        told = cli(*command, code=2, **{variable: value}).stderr
    else:
        told = cli(*command[:-1], f"--host={value}", "--port", "0", code=2).stderr

    assert why in told
    assert variable or "--host: it must be an IP address or a name" in told
    assert len(told.splitlines()) == 1


@each_row(
    "value",
    ["127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1%eth0", "localhost", "my_host", "a-b.example.",
     "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example"],
)  # fmt: skip
def test_what_can_be_listened_on_is_taken(cli: Cli, value: str) -> None:
    assert cli("config", "check", BRIDGE_HOST=value, BRIDGE_EMBEDDED_HOST=value).stdout == "ok\n"


@each_row(
    "url",
    ["https://999.1.1.1", "https://d:99999", "https://d:0", "https://d:", "https://d:x",
     "https://[::1", "https://-", "https://a..b/api"],
)  # fmt: skip
@each_row("variable", [name for name in variables() if "_URL" in name])
def test_an_address_has_a_host_and_a_port_that_can_be(cli: Cli, variable: str, url: str) -> None:
    if variable.endswith("DATABASE_URL"):
        url = url.replace("https://", f"postgres://me:{SECRET}@")
        if url.endswith("[::1"):
            url += "/"

    told = cli("config", "check", code=2, **{variable: url}).stderr

    assert f"({variable}): " in told
    assert SECRET not in told


@each_row(
    "url",
    ["postgres:///bridge", "postgresql://db", "postgres://u:p@h@db:5432/x?sslmode=require",
     "postgres://u@[::1]:5432,[::2]/x", "postgres://u:p@a:1,b:2/x", "postgres://u@%2Frun%2Fpg/x"],
)  # fmt: skip
def test_a_database_may_have_several_hosts_or_none(url: str) -> None:
    assert read_settings(None, {"DATABASE_URL": url}).database_url is not None
