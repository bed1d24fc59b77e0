"""Check the settings alone."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from bridge.app.data_folder import database_url, must_be_ours
from bridge.app.doctor.apps import doubts
from bridge.app.keyrings import keyrings_of
from bridge.app.providers import check_backends, host_apis
from bridge.chats import CHATS
from bridge.core.apps import Prereleases, Trigger
from bridge.core.errors import Rejected
from bridge.core.matching import Glob, GlobError
from bridge.core.matching.lint import lint
from bridge.core.pins import is_one
from bridge.core.refs import unmatchable, unmatchable_prefix
from bridge.core.rules import Range, label_matches
from bridge.core.validation_errors import shortened
from bridge.outbound import ALLOW, networks_of, never_asked
from bridge.ports.checks import Finding, Level
from bridge.ports.providers import REPOSITORY_SECRETS, HostServer, WebhookSecrets
from bridge.settings import Settings, access_of
from bridge.settings.rules import Rule

if TYPE_CHECKING:
    from pydantic import SecretStr

ABOUT = "the settings"

SHORTEST_SECRET = 16
"""Characters below which a webhook's secret can be guessed."""


class Remark(NamedTuple):
    """A finding about the settings, without values of secrets."""

    level: str
    """error: must be fixed; warning: may be a mistake; note: the effect of the settings."""
    says: str
    """The setting, and what is wrong with it."""
    remedy: str = ""

    @property
    def message(self) -> str:
        """All of it, for people."""
        between = " " if self.says.endswith((".", "?")) else "; "
        return between.join(filter(None, (self.says, self.remedy)))


def of_settings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the settings, each by itself and together."""
    wrong = [one for one in remarks(settings) if one.level != "note"]
    if not wrong:
        yield Finding(Level.OK, "settings", ABOUT, "they fit together")
    for one in wrong:
        yield Finding(Level(one.level), "settings", ABOUT, one.says, one.remedy)


def unreadable(error: Rejected) -> Finding:
    """Return the finding that there are no settings to check."""
    remedy = "correct it; `dokploy-bridge config check` checks the settings alone"
    return Finding(Level.ERROR, "settings", ABOUT, str(error), remedy)


def remarks(settings: Settings) -> Iterator[Remark]:
    """Yield errors, warnings, and notes on the effect of the settings, each with its place."""
    for one in _remarks(settings):
        yield one._replace(says=settings.places.told(one.says))


def _remarks(settings: Settings) -> Iterator[Remark]:
    for usable in (keyrings_of, host_apis, check_backends, _data_folder, _ports):
        try:
            usable(settings)
        except Rejected as error:
            yield Remark("error", error.says, error.remedy)
    yield from _of_secrets(settings)
    yield from _of_hosts(settings)
    yield from _of_rules(settings)
    for setting, says, remedy in doubts(settings):
        yield Remark("warning", f"{setting}: {says}", remedy)
    yield from _of_chats(settings)


def _data_folder(settings: Settings) -> None:
    """Raise Rejected if `serve` could store nothing; remove the files of the test."""
    if database_url(settings) is not None:
        return
    must_be_ours(settings.data)
    there = settings.data
    while not there.exists() and there != there.parent:
        there = there.parent
    why = f"{there} is a file"
    if there.is_dir():
        why = f"{there} can't be written to"
        # Permissions alone don't show whether files can be created there (in /proc).
        with suppress(OSError), tempfile.TemporaryDirectory(dir=there, prefix=".bridge-check-"):
            return
    says = f"data: {settings.data} can't hold the data: {why}"
    raise Rejected(says, "choose another with BRIDGE_DATA")


def _ports(settings: Settings) -> None:
    """Raise Rejected if the bridge and the embedded backend would share a port."""
    if settings.backends_set() or not settings.port:
        return
    embedded = settings.embedded
    for name, port in (("port", embedded.port), ("sites_port", embedded.port_of_sites)):
        if port == settings.port:
            raise Rejected(
                f"embedded.{name}: {port} is the port of the bridge itself (PORT)",
                f"choose another with BRIDGE_EMBEDDED_{name.upper()}",
            )


def _of_secrets(settings: Settings) -> Iterator[Remark]:
    """Yield warnings about short webhook secrets; they are accepted, since they may be in use."""
    for server in settings.host_servers().values():
        for kind, secrets in _secrets_of(server):
            said = [secret.get_secret_value().removeprefix(kind.prefix) for secret in secrets]
            if short := sum(len(one) < SHORTEST_SECRET for one in said):
                which = "the secret" if len(said) == 1 else f"{short} of {len(said)} secrets"
                why = f"{which} can be guessed: fewer than {SHORTEST_SECRET} characters"
                says = f"{server.section}.{kind.setting}: {why}"
                yield Remark("warning", says, kind.remedy)


def _secrets_of(server: HostServer) -> "Iterator[tuple[WebhookSecrets, Sequence[SecretStr]]]":
    """Yield the kinds of webhook secrets, each with those that are set."""
    for kind in server.provider.secrets:
        yield kind, getattr(server.given, kind.setting)
    bound = getattr(server.given, REPOSITORY_SECRETS, {})
    of_repositories = replace(server.provider.secrets[0], setting=REPOSITORY_SECRETS)
    yield of_repositories, [one for some in bound.values() for one in some]


def _of_hosts(settings: Settings) -> Iterator[Remark]:
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
            yield Remark("warning", f"{host} is not served: {why}", remedy)


OF_NAMES = ("never_matches", "unclosed", "bang_class")
"""Findings that apply to globs over names as well as over paths."""


def _of_rules(settings: Settings) -> Iterator[Remark]:
    """Yield our own rules that are unreadable or probable mistakes."""
    for place, rule in enumerate(settings.rules):
        for says, remedy in (*_without_effect(rule), *_unpinnable(rule)):
            yield Remark("warning", f"rules.{place}.{says}", remedy)
        url = rule.verify.url if rule.verify and rule.verify.on else ""
        if why := never_asked(url, networks_of(settings.verify.allow)):
            yield Remark("warning", f"rules.{place}.verify.url: {why}", ALLOW)
        for name, pattern in (("apps", rule.apps), ("branch", rule.branch), ("tags", rule.tags)):
            yield from _of_name(f"rules.{place}.{name}", pattern)
        for one in lint(rule.watch_paths, settings.watch.semantics, settings.watch.picomatch):
            if one.level != "note":
                yield Remark(one.level, f"rules.{place}.watch_paths: {one.says}", one.remedy)
    for first, *others in circles([(one.apps, one.after or ()) for one in settings.rules]):
        says = f"rules: {' waits for '.join((first, *others, first))}"
        remedy = "take one of these out of `after`"
        yield Remark("error", f"{says}, so none of them would ever deploy", remedy)
    for place, grant in enumerate(settings.access):
        for pattern in grant.apps:
            yield from _of_name(f"access.{place}.apps", pattern)


def _without_effect(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the parts of a rule that prevent every deployment, or have no effect; and remedies."""
    never = (
        ("branch", rule.branch, lambda glob: unmatchable(glob, "branch")),
        ("tags", rule.tags, lambda glob: unmatchable(glob, "tag")),
        ("tag_prefix", rule.tag_prefix, unmatchable_prefix),
    )
    for name, value, judged in never:
        if value is not None and (found := judged(value)) is not None:
            yield f"{name}: {shortened(value)} never matches: {found.why}", found.remedy
    if rule.versions is not None:
        policy = rule.prereleases or Prereleases.SKIP
        held = Range.parse(rule.versions)
        if not held.holds_any():
            yield f"versions: no version is in {shortened(rule.versions)}", "write e.g. >=1.2 <2"
        elif not held.holds_any(policy):
            yield (
                (
                    f"versions: with prereleases: {policy}, no version in"
                    f" {shortened(rule.versions)} deploys"
                ),
                "widen the range, or change `prereleases`",
            )
    if rule.trigger is Trigger.PUSH:
        for name in OF_TAGS:
            if getattr(rule, name) is not None:
                yield f"{name}: it is about tags, which deploy nothing with trigger: push", ""


def _unpinnable(rule: Rule) -> Iterator[tuple[str, str]]:
    if rule.pin and (rule.branch is None or not is_one(rule.branch)):
        names = "names none" if rule.branch is None else f"{shortened(rule.branch)} names several"
        yield (
            f"pin: a pinned app tracks one branch, and `branch` {names}",
            "write e.g. branch: main",
        )


OF_TAGS = ("tags", "versions", "tag_prefix", "prereleases", "only_newer")
"""The fields of rules about tags."""


def _of_name(setting: str, pattern: str | None) -> Iterator[Remark]:
    if pattern is None:
        return
    try:
        Glob(pattern)
    except GlobError as error:
        shown = pattern if len(pattern) < 40 else f"{pattern[:40]}…"
        says = f"{setting}: `{shown}` can't be read as a glob: {error.reason}"
        yield Remark("error", says, "write a name, or a simpler glob")
        return
    for one in lint([pattern]):
        if one.code in OF_NAMES:
            yield Remark(one.level, f"{setting}: {one.says}", one.remedy)


def _of_chats(settings: Settings) -> Iterator[Remark]:
    """Yield how chats' requests are received, and which settings they lack."""
    used = settings.chats_set()
    for chat, provider in CHATS.items():
        given = getattr(settings, chat)
        yield from (Remark("warning", *doubt) for doubt in provider.doubts(given))
        if chat not in used and provider.heard_by(given):
            missing = provider.variable(provider.credential)
            why = f"{missing} is not set, and is required for {provider.title}"
            yield Remark("warning", f"{chat} is not used: {why}", "set it, too")
    for chat, given in used.items():
        if not CHATS[chat].to_be_heard:
            yield Remark("note", f"{chat} is only written to: people can't ask anything there")
            continue
        if heard := " and ".join(CHATS[chat].heard_by(given)):
            yield Remark("note", f"{chat} requests are received by {heard}")
        else:
            remedy = f"set {CHATS[chat].to_be_heard}"
            yield Remark("warning", f"{chat} requests can't be received", remedy)
        if not access_of(settings).grants:
            remedy = "say who in `access` of bridge.yaml"
            yield Remark("warning", f"nobody may do anything by {chat}", remedy)


# ── Apps that wait for each other ─────────────────────────────────────────────────────────────────

_GLOB = frozenset("*?[{")


def circles(rules: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, ...]]:
    """Return the apps that wait for each other in a circle; at most one circle.

    Args:
        rules: a label or glob over labels, with those that must be live first.
    """
    after: dict[str, set[str]] = {}
    for apps, earlier in rules:
        after.setdefault(apps, set()).update(earlier)
    for apps, names in after.items():
        if apps in names and _GLOB & set(apps):  # each of its apps waits for the others
            return [(apps,)]
    waits = {
        apps: {one for one in after if _waits(apps, names, one)} for apps, names in after.items()
    }
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        return [tuple(reversed(error.args[1][1:]))]
    return []


def _waits(apps: str, after: Iterable[str], other: str) -> bool:
    """Return whether apps wait for those of another rule."""
    fits = (label_matches(other, one) or label_matches(one, other) for one in after)
    return other != apps and any(fits)
