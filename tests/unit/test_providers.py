"""Providers own themselves: no module outside a provider's folder names one in its code."""

import ast
import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from multidict import CIMultiDict

import bridge
from bridge.backends import BACKENDS, EMBEDDED
from bridge.chats import CHATS, asking_hosts
from bridge.chats.slack.manifest import MORE_SCOPES
from bridge.cli.payloads import split_request
from bridge.core.events import Sender
from bridge.core.refused import sender_of
from bridge.githosts import HOSTS
from bridge.ports.providers import BackendProvider, BackendServer, ChatProvider, Provider
from bridge.settings import Settings
from bridge.settings.reading import variables
from bridge.web.hooks import right_path
from tests.worlds.rows import each_row
from tests.worlds.sources import modules, parsed

PACKAGE = Path(bridge.__file__).parent
ROOT = PACKAGE.parent


def words_of(providers: Collection[Provider | ChatProvider | BackendProvider]) -> set[str]:
    return {word.lower() for one in providers for word in (one.key, one.title)}


HOSTS_AND_CHATS = words_of([*HOSTS.values(), *CHATS.values()])
DEPLOYING = words_of(BACKENDS.values())
PROVIDERS = HOSTS_AND_CHATS | DEPLOYING

OWN = [
    *(f"bridge.githosts.{host}" for host in HOSTS),
    *(f"bridge.backends.{backend}" for backend in BACKENDS),
    *(f"bridge.chats.{chat}" for chat in CHATS),
]
"""The folder of each."""

MAPS = {"bridge.githosts", "bridge.backends", "bridge.chats"}

OUR_OWN_NAME = re.compile(r"dokploy-bridge|/dokploy")
"""What the bridge calls itself, and its command in a chat."""

MAY_NAME = {
    "bridge.backends": "Dokploy names the kinds of its own sources and connected accounts",
    "bridge.embedded": "it speaks Dokploy's HTTP API",
    "bridge.core.apps": "the kinds of Dokploy's sources",
    "bridge.core.configuration": "the fields of Dokploy's sources",
    "bridge.chats.slack.source_form": "the form for Dokploy's sources",
    "bridge.operations.setting": "what sets Dokploy's sources",
    "bridge.githosts.gitea.provider": "the headers that Gitea sends besides its own",
    "bridge.cli.demo": "it plays a Git host to the bridge, as one has to be chosen",
    "bridge.cli.demo_world": "it plays that host and a chat, and says how to go on with real ones",
    "bridge.core.secret_shapes": "tokens of all kinds are hidden in logs, whoever is served",
    "bridge.core.token_prefixes": "how the tokens of all kinds begin",
}
"""Modules and packages that may name a Git host or chat, and why."""

MAY_SAY = {
    "bridge.settings.sections": "why bodies may be so large, in the help of a setting",
    "bridge.settings.rules": "how the channels of cards are written, in the help of a setting",
    "bridge.cli.root": "examples in the help texts",
    "bridge.settings.people": "how accounts are written, in the error of a setting",
    "bridge.core.matching.lint": "a folder that a pattern leaves out, as an example",
}
"""The same, but only in sentences for people: not in a name, and not in a text to compare with."""

MAY_NAME_A_BACKEND = {
    "bridge.embedded": "it speaks Dokploy's HTTP API",
    "bridge.githosts.base.commits": "how the bridge's statuses begin, as branch rules may ask",
    "bridge.core.apps": "the backend of an app where there is only one, and what a copy of it is",
    "bridge.core.secret_values": "words that are no secret, as logs are full of them",
    "bridge.cli.demo": "it says what its backend speaks, and sets it as a Dokploy",
}
"""Modules and packages that may name a backend, and why."""

MAY_SAY_A_BACKEND = {
    "bridge.core.configuration": "the fields of Dokploy's sources",
    "bridge.core.matching.lint": "what Dokploy's own check makes of a pattern",
    "bridge.settings.sections": "how Dokploy reads watch paths, in the help of a setting",
    "bridge.operations.setting": "what sets Dokploy's sources",
    "bridge.cli.demo_world": "it says how to go on with a real Dokploy",
    "bridge.cli.root": "what the bridge is, in the help texts",
}
"""The same, but only in sentences for people."""

ALLOWED = ((HOSTS_AND_CHATS, MAY_NAME, MAY_SAY), (DEPLOYING, MAY_NAME_A_BACKEND, MAY_SAY_A_BACKEND))


@cache
def _said(source: str) -> tuple[str, ...]:
    """Every name and text of a source, but for comments and texts that stand alone."""
    found: list[str] = []
    nodes: list[ast.AST] = [parsed(source)]
    while nodes:
        node = nodes.pop()
        if not _is_docstring(node):
            found += _texts(node)
            nodes += ast.iter_child_nodes(node)
    return tuple(found)


def _texts(node: ast.AST) -> Iterator[str]:
    """The names and texts of one node, without those of the nodes below it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    for field in ("id", "attr", "arg", "name", "asname", "module", "rest"):
        if isinstance(found := getattr(node, field, None), str):
            yield found
    for field in ("names", "kwd_attrs"):
        yield from (one for one in getattr(node, field, ()) if isinstance(one, str))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield "".join(_constants(node.left, node.right))  # put together from two
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("startswith", "endswith"):
        ends = [one.lower() for one in _constants(*node.args) if len(one) > 3]
        yield from (
            word for word in PROVIDERS for one in ends if word.startswith(one) or word.endswith(one)
        )


def _constants(*nodes: ast.AST) -> Iterator[str]:
    """The texts in some expressions."""
    for node in nodes:
        for one in ast.walk(node):
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                yield one.value


def _is_docstring(node: ast.AST) -> bool:
    text = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    return isinstance(text, ast.Constant) and isinstance(text.value, str)


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _named(module: str, source: str, words: set[str]) -> list[str]:
    """The names and texts of a module that name somebody else than its own provider."""
    words = words - {own.rpartition(".")[2] for own in OWN if _inside(module, own)}
    said = ((text, OUR_OWN_NAME.sub("", text.lower())) for text in _said(source))
    return [text for text, lower in said if any(word in lower for word in words)]


WHO = {"host", "chat", "backend", "provider", "sender", "server", "key"}
"""Names of what tells hosts, chats and backends apart."""


def asked_by_name(source: str) -> list[str]:
    """The comparisons of a host, chat or backend with the name of one."""
    compared = [one for one in ast.walk(parsed(source)) if isinstance(one, ast.Compare)]
    return [
        ast.unparse(node)
        for node in compared
        if PROVIDERS & {word.lower() for word in _constants(node)}
        and any(_last_word(one) in WHO for one in (node.left, *node.comparators))
    ]


def _last_word(node: ast.expr) -> str:
    name = getattr(node, "attr", None) or getattr(node, "id", None) or ""
    return str(name).rpartition("_")[2]


def faults(module: str, source: str) -> list[str]:
    """The names of providers in a module that may have none."""
    found: list[str] = []
    for words, may_name, may_say in ALLOWED:
        if module in MAPS or any(_inside(module, one) for one in may_name):
            continue
        says = any(_inside(module, one) for one in may_say)
        found += (
            text
            for text in _named(module, source, words)
            if not (says and " " in text and set(text.lower().split()) - PROVIDERS)
        )
    return [f"{module} names {text!r}" for text in found]


def test_no_module_outside_a_provider_s_folder_names_it() -> None:
    found = [fault for name, source in modules() for fault in faults(name, source)]

    assert found == [], "ask its record instead (HOSTS, BACKENDS, CHATS)"


def test_nobody_tells_providers_apart_by_name_not_even_who_may_name_them() -> None:
    asked = {
        name: asked_by_name(source)
        for name, source in modules()
        if not any(_inside(name, own) for own in OWN)
    }

    assert {name: found for name, found in asked.items() if found} == {}
    assert asked_by_name('if push.repository.host == "gitlab":\n    pass')
    assert asked_by_name('x = delivery.host in ("github", "gitea")')
    assert asked_by_name('assert "slack" != chat')


def test_no_page_names_a_provider() -> None:
    pages = [one for end in ("html", "js", "css") for one in PACKAGE.rglob(f"*.{end}")]
    pages = [one for one in pages if not one.is_relative_to(PACKAGE / "embedded")]  # see MAY_NAME
    said = {one: OUR_OWN_NAME.sub("", one.read_text().lower()) for one in pages}

    assert pages
    assert [one for one in pages if any(word in said[one] for word in PROVIDERS)] == []


@each_row(
    ("allowed", "words"),
    [(one, words) for words, may_name, may_say in ALLOWED for one in (*may_name, *may_say)],
)
def test_only_modules_that_need_it_may_name_a_provider(allowed: str, words: set[str]) -> None:
    those = [(name, source) for name, source in modules() if _inside(name, allowed)]

    assert any(_named(name, source, words) for name, source in those)


@each_row(
    "planted",
    [
        'if host == "github":\n    pass',
        'HEADERS = {"gitlab": "X-Gitlab-Event"}',
        "def f(settings):\n    return settings.github.token",
        "from bridge.backends.dokploy.client import X",
        'def f():\n    log("GitLab sends none")',
        "make(gitlab=1)",
        'CHAT_HOST = "slack"',
        "match one:\n    case Of(github=1):\n        pass",
        "match one:\n    case {**github_rest}:\n        pass",
        "def f():\n    global GITHUB",
        'hint("set BRIDGE_DOKPLOY_URL")',
        'if host == "git" + "hub":\n    pass',
        'if host.startswith("gith"):\n    pass',
        'if host.endswith(("xxxx", "Ploy")):\n    pass',
    ],
)
def test_a_planted_name_is_found(planted: str) -> None:
    assert faults("bridge.pipeline.deciding.deliveries", planted)


def test_who_may_name_them_to_people_may_not_do_so_in_code() -> None:
    for planted in ('host == "github"', 'K = ("slack", "discord")', 'K = "github gitlab".split()'):
        assert faults("bridge.settings.sections", planted)


def test_what_may_name_a_provider_is_left_alone() -> None:
    for module, source in {
        "githosts.github.api": 'SERVICE = "github"',
        "pipeline.deciding.decide": '"""As GitHub sends it."""\nx = 1  # GitLab has none',
        "operations.setting": 'set("github")',
        "settings.sections": 'help("as large as GitHub sends them")',
        "cli.apps": 'MORE = "see `dokploy-bridge deliveries`, or /dokploy why"',
    }.items():
        assert faults(f"bridge.{module}", source) == []


# ── what a record must hold ──────────────────────────────────────────────────────────────────────


@each_row("provider", [*HOSTS.values(), *CHATS.values(), *BACKENDS.values()])
def test_a_record_names_only_settings_that_it_has(provider: Any) -> None:
    named = {provider.credential}
    if provider.key in HOSTS:
        assert provider.secrets
        named |= {one.setting for one in provider.secrets}
    elif provider.key in BACKENDS:
        named |= {provider.address}
        assert provider.further is None or provider.further in Settings.model_fields

    assert named <= provider.settings().model_fields.keys()
    assert all(provider.variable(name) in variables() for name in named)


def test_what_is_not_set_is_not_served_and_has_no_api() -> None:
    for key, host in HOSTS.items():
        settings = host.settings()()
        assert (host.key, host.serves(settings), host.api(key, settings)) == (key, False, None)
        assert host.web_url(settings).startswith("https://")
        further = {"ssh_host", "ca", "feedback", "skipped_status"}
        assert further <= host.settings().model_fields.keys()
    for key, chat in CHATS.items():
        assert (chat.key, chat.is_set(chat.settings()())) == (key, False)
    for key, backend in BACKENDS.items():
        server = BackendServer(key, backend, backend.settings()())
        assert backend.key == key != EMBEDDED
        assert server.address is None
        server.check()
    assert HOSTS.keys().isdisjoint({*asking_hosts(), *CHATS})
    assert getattr(CHATS["slack"].manifest, "more", ()) == tuple(MORE_SCOPES)


FORM = b"application/x-www-form-urlencoded"
PAYLOADS = [
    file
    for host in HOSTS
    for file in sorted((ROOT / "tests/fixtures" / host).glob("*.http"))
    if FORM not in file.read_bytes()
]
"""Recorded webhooks; a form is told by its header alone."""


@each_row("file", PAYLOADS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_recorded_body_looks_most_like_its_own_host_s(file: Path) -> None:
    _, headers, body = split_request(file.read_bytes())
    told = json.loads(body)
    found = max(HOSTS.values(), key=lambda one: one.likeness(told))

    assert found.key == file.parent.name
    assert sender_of(CIMultiDict(headers), HOSTS) == file.parent.name


def test_the_paths_of_several_servers_are_named_unless_only_some_are_served() -> None:
    hosts = HOSTS | {"gitea/second": HOSTS["gitea"]}
    gitea = CIMultiDict({"X-Gitea-Event": "push"})
    both = "Gitea's webhooks go to /hooks/gitea or /hooks/gitea/second"

    assert right_path(gitea, hosts) == both
    assert right_path(gitea, hosts, {"github", "gitea", "gitea/second"}) == both
    assert right_path(gitea, hosts, {"gitea/second"}) == both.replace("/hooks/gitea or ", "")
    assert right_path(CIMultiDict(), hosts) == (
        "GitHub's webhooks go to /hooks/github; GitLab's webhooks go to /hooks/gitlab; " + both
    )


def test_who_sends_headers_of_another_host_as_well_is_told_apart() -> None:
    also: Any = {"also_sends": ("X-First-Event",), "begins": ("X-Later-", "X-Fork-")}
    hosts = {
        "first": Sender(key="first", title="First", event_header="X-First-Event"),
        "later": Sender(key="later", title="Later", event_header="X-Later-Event", **also),
    }

    for headers, sender in (
        ({"X-First-Event"}, "first"),
        ({"X-First-Event", "X-Later-Event"}, "later"),
        ({"X-First-Event", "x-fork-event"}, "later"),
        ({"X-Other"}, None),
    ):
        assert sender_of(CIMultiDict(dict.fromkeys(headers, "push")), hosts) == sender
