"""The findings of `config check`: errors, warnings, and notes on the effect of the settings."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.app.data_folder import database_url, must_be_ours
from bridge.app.doctor.services import Tried, compared, try_backend
from bridge.app.keyrings import keyrings_of
from bridge.app.providers import (
    check_backends,
    host_apis,
    places_of,
)
from bridge.backends import EMBEDDED
from bridge.chats import CHATS
from bridge.cli.forms import finding_words
from bridge.cli.serve import hosts_of
from bridge.core.apps import Prereleases, Trigger
from bridge.core.errors import BridgeError, Refused, Rejected
from bridge.core.matching import Glob, GlobError
from bridge.core.matching.lint import lint
from bridge.core.misfits import shortened
from bridge.core.refs import unmatchable, unmatchable_prefix
from bridge.core.rules import Range
from bridge.ports.githosts import SaysWho
from bridge.ports.providers import REPOSITORY_SECRETS, HostServer, WebhookSecrets
from bridge.settings import Settings, access_of
from bridge.settings.sections import Rule

if TYPE_CHECKING:
    from pydantic import SecretStr


SHORTEST_SECRET = 16
"""Characters below which a webhook's secret can be guessed."""


class Remark(NamedTuple):
    """A finding about the settings, without values of secrets."""

    level: str
    """error: must be fixed; warning: may be a mistake; note: the effect of the settings."""
    message: str
    """The setting, what is wrong with it, and the remedy."""


def checked(read: Callable[[], Settings]) -> dict[str, Any]:
    """Return the machine form of a check.

    Args:
        read: returns the settings; raises Rejected if they are unreadable.
    """
    try:
        settings = read()
    except Rejected as error:
        return _form([Remark("error", str(error))], [], None)
    backend = ", ".join(places_of(settings)) or EMBEDDED
    return _form(list(_remarks(settings)), hosts_of(settings), backend)


def _form(remarks: Sequence[Remark], hosts: list[str], backend: str | None) -> dict[str, Any]:
    return {
        "ok": all(remark.level != "error" for remark in remarks),
        "remarks": [remark._asdict() for remark in remarks],
        "hosts": hosts,
        "backend": backend,
    }


def _remarks(settings: Settings) -> Iterator[Remark]:
    for usable in (keyrings_of, host_apis, check_backends, _data_folder, _ports):
        try:
            usable(settings)
        except Rejected as error:
            yield Remark("error", str(error))
    yield from _of_secrets(settings)
    yield from _of_hosts(settings)
    yield from _of_rules(settings)
    yield from _of_chats(settings)


def _data_folder(settings: Settings) -> None:
    """Raise Rejected if `serve` could store nothing; remove the files of the test."""
    if database_url(settings) is not None:
        return
    must_be_ours(settings.data)
    there = settings.data
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        why = f"{there} is a file"
    elif not _takes_files(there):
        why = f"{there} can't be written to"
    else:
        return
    raise Rejected(
        f"data: {settings.data} can't hold the data: {why}; choose another with BRIDGE_DATA"
    )


def _takes_files(folder: Path) -> bool:
    """Return whether files can be created there; permissions alone don't show it (in /proc)."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".bridge-check-"):
            return True
    except OSError:
        return False


def _ports(settings: Settings) -> None:
    """Raise Rejected if the bridge and the embedded backend would share a port."""
    if settings.backends_set() or not settings.port:
        return
    embedded = settings.embedded
    for name, port in (("port", embedded.port), ("sites_port", embedded.port_of_sites)):
        if port == settings.port:
            raise Rejected(
                f"embedded.{name}: {port} is the port of the bridge itself (PORT); choose another"
                f" with BRIDGE_EMBEDDED_{name.upper()}"
            )


def _of_secrets(settings: Settings) -> Iterator[Remark]:
    """Yield warnings about short webhook secrets; they are accepted, since they may be in use."""
    for server in settings.host_servers().values():
        for kind, secrets in _secrets_of(server):
            said = [one.get_secret_value().removeprefix(kind.prefix) for one in secrets]
            if short := sum(len(one) < SHORTEST_SECRET for one in said):
                which = "the secret" if len(said) == 1 else f"{short} of {len(said)} secrets"
                why = f"{which} can be guessed: fewer than {SHORTEST_SECRET} characters"
                yield Remark("warning", f"{server.section}.{kind.setting}: {why}; {kind.remedy}")


def _secrets_of(server: HostServer) -> "Iterator[tuple[WebhookSecrets, Sequence[SecretStr]]]":
    """Yield the kinds of webhook secrets, each with those that are set."""
    for kind in server.provider.secrets:
        yield kind, getattr(server.given, kind.setting)
    bound = getattr(server.given, REPOSITORY_SECRETS, {})
    of_repositories = replace(server.provider.secrets[0], setting=REPOSITORY_SECRETS)
    yield of_repositories, [one for some in bound.values() for one in some]


def _of_hosts(settings: Settings) -> Iterator[Remark]:
    """Yield the hosts with API access but without webhooks."""
    try:
        asked = host_apis(settings)
    except Rejected:  # reported above
        return
    for host in asked:
        server = settings.host_servers()[host]
        if not server.serves:
            missing = server.setting(server.provider.secrets[0].setting)
            title = server.provider.title
            why = (
                f"{missing} is not set, so only webhooks of {title} that the bridge has made arrive"
            )
            remedy = "set it, or run `dokploy-bridge hooks install`"
            yield Remark("warning", f"{host} is not served: {why}: {remedy}")


OF_NAMES = ("never_matches", "unclosed", "bang_class")
"""Findings that apply to globs over names as well as over paths."""


def _of_rules(settings: Settings) -> Iterator[Remark]:
    """Yield our own rules that are unreadable or probable mistakes."""
    for place, rule in enumerate(settings.rules):
        yield from (Remark("warning", f"rules.{place}.{words}") for words in _without_effect(rule))
        for name, pattern in (("apps", rule.apps), ("branch", rule.branch), ("tags", rule.tags)):
            yield from _of_name(f"rules.{place}.{name}", pattern)
        for one in lint(rule.watch_paths, settings.watch.semantics, settings.watch.picomatch):
            if one.level != "note":
                yield Remark(one.level, f"rules.{place}.watch_paths: {finding_words(asdict(one))}")
    for place, grant in enumerate(settings.access):
        for pattern in grant.apps:
            yield from _of_name(f"access.{place}.apps", pattern)


def _without_effect(rule: Rule) -> Iterator[str]:
    """Yield the parts of a rule that prevent every deployment, or have no effect."""
    if rule.branch is not None and (why := unmatchable(rule.branch, "branch")):
        yield f"branch: {shortened(rule.branch)} never matches: {why}"
    if rule.tags is not None and (why := unmatchable(rule.tags, "tag")):
        yield f"tags: {shortened(rule.tags)} never matches: {why}"
    if rule.tag_prefix is not None and (why := unmatchable_prefix(rule.tag_prefix)):
        yield f"tag_prefix: {shortened(rule.tag_prefix)} never matches: {why}"
    if rule.versions is not None:
        policy = rule.prereleases or Prereleases.SKIP
        held = Range.parse(rule.versions)
        if not held.holds_any():
            yield f"versions: no version is in {shortened(rule.versions)}; write e.g. >=1.2 <2"
        elif not held.holds_any(policy):
            yield (
                f"versions: with prereleases: {policy}, no version in {shortened(rule.versions)}"
                " deploys; widen the range, or change `prereleases`"
            )
    if rule.trigger is Trigger.PUSH:
        for name in OF_TAGS:
            if getattr(rule, name) is not None:
                yield f"{name}: it is about tags, which deploy nothing with trigger: push"


OF_TAGS = ("tags", "versions", "tag_prefix", "prereleases", "only_newer")
"""The fields of rules about tags."""


def _of_name(setting: str, pattern: str | None) -> Iterator[Remark]:
    """Yield the same for a glob over names in that setting."""
    if pattern is None:
        return
    try:
        Glob(pattern)
    except GlobError as error:
        shown = pattern if len(pattern) < 40 else f"{pattern[:40]}…"
        why = f"{error.reason}; write a name, or a simpler glob"
        yield Remark("error", f"{setting}: `{shown}` can't be read as a glob: {why}")
        return
    for one in lint([pattern]):
        if one.code in OF_NAMES:
            yield Remark(one.level, f"{setting}: {finding_words(asdict(one))}")


def _of_chats(settings: Settings) -> Iterator[Remark]:
    """Yield how chats' requests are received, and which settings they lack."""
    used = settings.chats_set()
    for chat, provider in CHATS.items():
        given = getattr(settings, chat)
        yield from (Remark("warning", why) for why in provider.doubts(given))
        if chat not in used and provider.heard_by(given):
            missing = provider.variable(provider.credential)
            why = f"{missing} is not set, and is required for {provider.title}: set it, too"
            yield Remark("warning", f"{chat} is not used: {why}")
    for chat, given in used.items():
        if not CHATS[chat].to_be_heard:
            yield Remark("note", f"{chat} is only written to: people can't ask anything there")
            continue
        if heard := " and ".join(CHATS[chat].heard_by(given)):
            yield Remark("note", f"{chat} requests are received by {heard}")
        else:
            remedy = f"set {CHATS[chat].to_be_heard}"
            yield Remark("warning", f"{chat} requests can't be received: {remedy}")
        if not access_of(settings).grants:
            nobody = f"nobody may do anything by {chat}: say who in `access` of bridge.yaml"
            yield Remark("warning", nobody)


# ── `config check --online`: does each configured backend answer, and accept its key? ─────────────

WITHIN = 15.0
"""Seconds for a backend to answer; while its database is away it may take far longer."""


def tried(settings: "Settings") -> list[dict[str, Any]]:
    """Return the machine form of checking every configured backend."""
    return [asdict(one) for one in asyncio.run(_try_all(settings))]


async def _try_all(settings: "Settings") -> list[Tried]:
    """Check all at once, and compare the ids of their apps if there are several."""
    servers = settings.backends_set().values()
    return compared(await asyncio.gather(*(try_backend(one, WITHIN) for one in servers)))


def tried_channels(settings: "Settings") -> list[dict[str, Any]]:
    """Return the machine form of checking every channel of the chats that can be asked.

    Each has a state: "ok", "refused" (the chat says no) or "away".
    """
    return asyncio.run(_try_channels(settings))


async def _try_channels(settings: "Settings") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for chat, given in settings.chats_set().items():
        asks = CHATS[chat].asks
        answers = await asks(given) if asks is not None else {}
        for channel, error in answers.items():
            no = "refused" if isinstance(error, Refused) else "away"
            state = no if error is not None else "ok"
            why = str(error) if error is not None else ""
            found.append({"chat": chat, "channel": channel, "state": state, "why": why})
    return found


def said_of_channel(one: dict[str, Any]) -> str:
    """Describe such a result to a person."""
    channel = f"{one['chat']} channel {one['channel']}"
    return f"{channel} can be written to" if one["state"] == "ok" else f"{channel}: {one['why']}"


def said_of(one: dict[str, Any]) -> str:
    """Describe a result to a person."""
    if one["state"] == "ok":
        version = f", version {one['version']}" if one["version"] else ""
        return f"{one['backend']} at {one['url']} answers and accepts the API key{version}"
    return f"{one['backend']} at {one['url']}: {one['why']}"


@dataclass(frozen=True, slots=True)
class TriedHost:
    """The result of one question to a Git host that tells whose token it is.

    Attributes:
        state: "ok", "refused" (the token, most likely), or "away".
        account: the token's account; None if the host does not say.
        why: the problem and its remedy; "" if there is none.
    """

    host: str
    url: str
    state: str
    account: str | None = None
    why: str = ""


def tried_hosts(settings: "Settings") -> list[dict[str, Any]]:
    """Return the machine form of checking the tokens of Git hosts that tell whose they are."""
    return [asdict(one) for one in asyncio.run(_try_hosts(settings))]


def said_of_host(one: dict[str, Any]) -> str:
    """Describe a result to a person."""
    if one["state"] == "ok":
        return f"{one['host']} at {one['url']} answers and accepts the token of {one['account']}"
    return f"{one['host']} at {one['url']}: {one['why']}"


async def _try_hosts(settings: "Settings") -> list[TriedHost]:
    servers = settings.host_servers()
    asked = {name: api for name, api in host_apis(settings).items() if isinstance(api, SaysWho)}
    return await asyncio.gather(*(_try_host(servers[name], api) for name, api in asked.items()))


async def _try_host(server: "HostServer", api: Any) -> TriedHost:
    name, url = server.name, server.web_url
    try:
        async with asyncio.timeout(WITHIN):
            return TriedHost(name, url, "ok", await api.account())
    except TimeoutError:
        return TriedHost(name, url, "away", why=f"{name} gives no answer within {WITHIN:g} s")
    except BridgeError as error:
        state = "refused" if isinstance(error, Refused) else "away"
        return TriedHost(name, url, state, why=str(error))
    finally:
        await api.close()
