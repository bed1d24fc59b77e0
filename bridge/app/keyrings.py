"""Git hosts' webhooks: their secrets, in the settings and in the store, and how to make them."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.app.data_folder import revealed, seal_of
from bridge.core.apps import App
from bridge.core.errors import Rejected
from bridge.core.hooks import Scope, ScopeKind, is_ours, scope_named, signed_by
from bridge.core.people import Actor
from bridge.core.refs import normalise_url
from bridge.githosts.server import OwnRepositories, homes_of
from bridge.pipeline.deciding.hook_places import HookServer
from bridge.pipeline.deciding.hooks import Hooks
from bridge.pipeline.deciding.ingest import Key, Keyring
from bridge.pipeline.deciding.reconcile import wanted_of
from bridge.pipeline.deploying.adopt import Adopter
from bridge.ports.backends import Backend
from bridge.ports.githosts import HostApi
from bridge.ports.hooks import MadeHook, ManagesHooks
from bridge.ports.providers import REPOSITORY_SECRETS, HostServer
from bridge.settings import Settings
from bridge.storage.journal import SqlJournal

if TYPE_CHECKING:
    from pydantic import SecretStr

log = logging.getLogger(__name__)


def keyrings_of(settings: Settings) -> dict[str, Keyring]:
    """Return every host, with the secrets in the settings.

    Raises:
        Rejected: a secret is unusable.
    """
    _must_differ([server for server in settings.host_servers().values() if server.serves])
    try:
        return {name: _keyring(one) for name, one in settings.host_servers().items()}
    except ValueError as error:
        raise Rejected(str(error)) from None


def _keyring(server: HostServer) -> Keyring:
    provider, given = server.provider, server.given
    parser = provider.reader()
    keys = list[Key]()
    if any(getattr(given, secret.setting) for secret in provider.secrets):
        parser = provider.webhooks(given)
        keys.append(Key(parser))
    bound: Mapping[str, Sequence[SecretStr]] = getattr(given, REPOSITORY_SECRETS, {})
    for name, secrets in bound.items():
        scope = scope_named(name)
        keys += [_key(server, scope, one, None) for one in revealed(secrets)]
    return Keyring(server.name, parser, keys, provider.hint_in, OwnRepositories(server))


def _key(
    server: HostServer, scope: Scope, secret: str, hook: str | None, signs: bool | None = None
) -> Key:
    verifier = server.provider.verifier(secret, signs)
    bound = None if scope.kind is ScopeKind.APP else scope
    return Key(verifier, bound, signed_by(scope, secret), server.provider.hint_of(secret, hook))


def use_made(
    settings: Settings, keyrings: Mapping[str, Keyring]
) -> Callable[[Sequence[MadeHook]], None]:
    """Return what gives the secrets of our own webhooks to the hosts that they are for."""
    servers, seal = settings.host_servers(), seal_of(settings)
    opened = cache(seal.open)

    def keys_of(made: MadeHook) -> Iterator[Key]:
        try:
            secrets = [opened(one) for one in made.accepted(time.time())]
        except Rejected as error:
            scope = str(made.scope)
            log.warning("the webhook of %s is refused", scope, extra={"why": str(error)})
            return
        for secret in secrets:
            yield _key(servers[made.host], made.scope, secret, made.hook, made.signs)

    def use(found: Sequence[MadeHook]) -> None:
        for name, keyring in keyrings.items():
            keyring.made(key for one in found if one.host == name for key in keys_of(one))

    return use


def tell_unserved(settings: Settings, keyrings: Mapping[str, Keyring]) -> None:
    """Log which setting each host lacks that has no secret."""
    some = any(one.serves for one in keyrings.values())
    for name, server in settings.host_servers().items():
        if not keyrings[name].serves:
            secrets = " or ".join(server.setting(one.setting) for one in server.provider.secrets)
            level = logging.INFO if some else logging.WARNING
            log.log(level, "%s is not served (404): set %s", name, secrets)


def _must_differ(servers: Sequence[HostServer]) -> None:
    """Raise Rejected if two servers have one address: a push to it would deploy twice."""
    taken: dict[tuple[str, str], HostServer] = {}
    for server in servers:
        for address in map(normalise_url, server.addresses):
            other = taken.setdefault((server.provider.key, address), server)
            if other is not server:
                raise Rejected(
                    f"{other.section} and {server.section} are both at {address}, so each push"
                    " would deploy twice: give one of them another url, or remove it"
                )


# ── Making webhooks ─────────────────────────────────────────────────────────────────────────────


def hooks_of(
    settings: Settings, journal: SqlJournal, apis: Mapping[str, HostApi], *, by: Actor
) -> Hooks:
    """Return what lists, makes, rotates and removes webhooks; see `Hooks`."""
    base = (settings.public_url or "").rstrip("/")
    servers = {}
    for name, one in settings.host_servers().items():
        api: object = apis.get(name)
        able = api if isinstance(api, ManagesHooks) else None
        url = f"{base}/hooks/{name}" if base else None
        servers[name] = HookServer(name, able, url, one.provider.new_secret)

    def deploys_itself(url: str) -> bool:
        """Return whether a URL is of a configured backend's own webhook."""
        return any(
            is_ours(url, str(one.address)) and one.provider.own_webhook(urlsplit(url).path)
            for one in settings.backends_set().values()
        )

    return Hooks(servers, journal, seal_of(settings), time.time, by, deploys_itself)


def heard_of(settings: Settings, made: Collection[str] = ()) -> Callable[[App], bool]:
    """Return whether an app's pushes can reach the bridge: its Git host is served.

    A repository on a disk is of no host, so any that is served may report it.

    Args:
        made: the hosts at which the bridge has made webhooks.
    """
    servers = settings.host_servers()
    homes = homes_of(servers.values())
    served = {name for name, one in servers.items() if one.serves or name in made}

    def heard(app: App) -> bool:
        url = app.source.url if app.source else None
        if url is not None and url.startswith("file:"):
            return bool(served)
        return any(host in served for host, _ in wanted_of([app], homes))

    return heard


async def adopter_of(
    settings: Settings,
    journal: SqlJournal,
    backends: Mapping[str, Backend],
    wake: Callable[[], None],
) -> Adopter:
    """Return what switches off the backends' own deploys of the pushes that reach the bridge."""
    heard = heard_of(settings, await made_at(journal))
    return Adopter(backends, journal, time.time, heard, wake)


async def made_at(journal: SqlJournal) -> set[str]:
    """Return the hosts at which the bridge has made webhooks."""
    return {one.host for one in await journal.made_hooks() if one.hook is not None}
