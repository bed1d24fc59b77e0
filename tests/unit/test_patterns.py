"""What the settings name is held against what is there: which settings, and what matches."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from bridge.app.unmatched import unmatched
from bridge.core.apps import App, Source, SourceType
from bridge.ports.checks import Level
from bridge.ports.settings import Names
from bridge.settings import Settings, read_settings
from bridge.settings.reading import MARKED
from tests.worlds.rows import each_row

HELD_AGAINST_APPS = {
    "rules.*.apps", "rules.*.after.*", "freezes.*.apps.*", "access.*.apps.*",
}  # fmt: skip
HOSTS = ("github", "gitlab", "gitea", "giteas.*")
HELD_AGAINST_REPOSITORIES = {f"{host}.repository_secrets" for host in HOSTS}
NAMES_NOTHING_THERE = {
    "addresses, names and files of servers and services": {
        "host", "public_url", "backends", "giteas", "discord.webhooks", "embedded.host",
        "rules.*.previews.host", "verify.allow.*", "console.oidc.issuer",
        *(f"{name}.url" for name in ("gitlab", "gitea", "giteas.*", "dokploy", "backends.*")),
        *(f"{name}_url" for name in ("github.api", "slack.api", "discord.api", "embedded.sites")),
        *(f"{host}.{name}" for host in HOSTS for name in ("web_url", "ssh_host", "ca")),
        *("dokploy.ca", "backends.*.ca", "console.oidc.ca", "rules.*.verify.url"),
    },
    "chats and people, whom their services know": {
        "slack.team_id", "slack.channel", "rules.*.channels.*", "rules.*.previews.channels.*",
        "access.*.channels.*", "access.*.who.*", "identities", "identities.*.*",
        "github.sign_in.client_id", "gitlab.sign_in.client_id", "slack.sign_in.client_id",
        *(f"console.oidc.{name}" for name in ("client_id", "title", "scopes.*", "groups_claim")),
    },
    "what comes with a push: branches, tags, paths, checks, words": {
        "rules.*.branch", "rules.*.watch_paths.*", "rules.*.tags", "rules.*.versions",
        "rules.*.tag_prefix", "rules.*.previews.label", "watch.skip_directives.*",
        *(f"rules.*.checks.{name}.*" for name in ("need", "ignore", "names")),
    },
    "what the bridge makes or expects": {
        "rules.*.previews.place", "rules.*.previews.environment", "rules.*.previews.build_args",
        "rules.*.previews.mirror_for_forks", "rules.*.verify.contains", "rules.*.verify.status.*",
    },
    "times, and words for people": {
        "freezes.*.reason", "freezes.*.from", "freezes.*.to", "freezes.*.tz", "freezes.*.days.*",
    },
}  # fmt: skip


def texts_of(annotation: Any, path: str = "", named: Names | None = None) -> Iterator[Any]:
    """Yield each text in the settings' types as its path and what it is marked as."""
    kind, args = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        marks = [one for one in args[1:] if isinstance(one, Names)]
        yield from texts_of(args[0], path, marks[0] if marks else named)
    elif kind in (Union, UnionType):
        for one in args:
            yield from texts_of(one, path, named)
    elif kind is tuple:
        yield from texts_of(args[0], f"{path}.*", named)
    elif kind is dict:
        yield from texts_of(args[0], path)
        yield from texts_of(args[1], f"{path}.*")
    elif annotation is str:
        yield path, named
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            inner = MARKED[(field.annotation, None, *field.metadata)]
            yield from texts_of(inner, f"{path}.{field.alias or name}".removeprefix("."))


def test_every_text_in_the_settings_is_held_against_what_is_there_or_names_nothing_there() -> None:
    marked: dict[Names | None, set[str]] = {}
    for path, named in texts_of(Settings):
        marked.setdefault(named, set()).add(path)

    assert marked == {
        Names.APP: HELD_AGAINST_APPS,
        Names.REPOSITORY: HELD_AGAINST_REPOSITORIES,
        None: set().union(*NAMES_NOTHING_THERE.values()),
    }


def app(label: str, repository: str = "acme/shop") -> App:
    project, _, name = label.rpartition("/")
    source = Source(SourceType.GITHUB, repository=repository, branch="main")
    return App(label, name, project, source=source)


APPS = [app("shop/web"), app("shop/staging/web"), app("bank/vault", "acme/bank")]
K = "k" * 32
FOUND = {
    "a misspelt rule": (
        "rules", "[{apps: shop/wbe, approvals: 1}]",
        "rules.0.apps: no app is called 'shop/wbe'; did you mean shop/web?",
    ),
    "one to wait for": (
        "rules", "[{apps: bank/vault, after: [shop/web, shop/api]}]",
        "rules.0.after.1: no app is called 'shop/api'; did you mean shop/web?",
    ),
    "a freeze": (
        "freezes", "[{apps: [shop/web, zzz], reason: x, from: '16:00', to: '17:00'}]",
        "freezes.0.apps.1: no app is called 'zzz'",
    ),
    "a grant": (
        "access", "[{who: [everyone], may: [view], apps: [bank/valt]}]",
        "access.0.apps.0: no app is called 'bank/valt'; did you mean bank/vault?",
    ),
    "a repository": (
        "github_repository_secrets", f"{{a/shop: {K}}}",
        "github.repository_secrets.a/shop: no app deploys from 'a/shop'; did you mean acme/shop?",
    ),
    "an owner": (
        "github_repository_secrets", f"{{acem/*: {K}}}",
        "github.repository_secrets.acem/*: no app deploys from 'acem/*'; did you mean acme/*?",
    ),
    "a repository of another host": (
        "gitlab_repository_secrets", f"{{acme/shop: {K}}}",
        "gitlab.repository_secrets.acme/shop: no app deploys from 'acme/shop'",
    ),
    "every app": ("rules", "[{apps: '*', approvals: 1}]", ""),
    "an app of an environment": ("rules", "[{apps: shop/staging/web, approvals: 1}]", ""),
    "an owner that is there": ("github_repository_secrets", f"{{Acme/*: {K}}}", ""),
}  # fmt: skip


RULE = {"BRIDGE_RULES": "[{apps: shop/wbe, approvals: 1}]"}
DOKPLOY = {"BRIDGE_DOKPLOY_URL": "http://d", "BRIDGE_DOKPLOY_API_KEY": "a-key"}


@each_row("name", FOUND)
def test_what_the_settings_name_is_there_or_is_found(name: str) -> None:
    setting, value, says = FOUND[name]

    given = read_settings(None, DOKPLOY | {f"BRIDGE_{setting.upper()}": value})
    found = list(unmatched(given, APPS, []))

    told = [one.says.replace(f" (BRIDGE_{setting.upper()})", "") for one in found]
    assert told == [says] * bool(says)
    assert all(one.level is Level.ERROR for one in found)


def test_what_was_removed_lately_or_is_not_known_yet_is_not_missed() -> None:
    other = {"BRIDGE_BACKENDS": "{second: {url: 'http://e', api_key: a-key}}"}
    one, two = (read_settings(None, DOKPLOY | RULE | more) for more in ({}, other))

    assert list(unmatched(one, APPS, [app("shop/wbe")])) == []
    assert list(unmatched(one, APPS, [app("shop/other")])) != []
    assert list(unmatched(one, [], [])) == []
    assert list(unmatched(two, APPS, [])) == []
    assert list(unmatched(two, APPS, [], ["second"])) != []
