"""Check whether apps can be deployed, and their pull requests have previews."""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bridge.app.keyrings import heard_of
from bridge.app.providers import host_apis
from bridge.backends import EMBEDDED, EMBEDDED_SPEAKS
from bridge.core.errors import Rejected
from bridge.core.pins import pin_of, tracked
from bridge.core.policies import Forks
from bridge.core.previews.preview import host_name
from bridge.githosts.server import homes_of
from bridge.outbound import ALLOW, networks_of, never_asked
from bridge.pipeline.deciding.reconcile import place_of, wanted_of
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.gates.gates import ONE_BRANCH
from bridge.ports.checks import Finding, Level

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.core.policies import PreviewPolicy
    from bridge.ports.providers import HostServer
    from bridge.settings import Settings


def of_apps(
    settings: "Settings",
    apps: Sequence["App"],
    titles: Mapping[str, str],
    made: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield the apps that deploy twice, or that no push can deploy.

    Args:
        made: the hosts at which the bridge has made webhooks.
    """
    servers = settings.host_servers()
    if not any(one.serves or name in made for name, one in servers.items()):
        says = "no Git host is served, so no push arrives"
        yield Finding(Level.WARNING, "bridge.hosts", "the bridge", says, _secrets(servers.values()))
        return
    heard = heard_of(settings, made)
    for app in apps:
        if heard(app):
            if app.deploys_twice:
                title = titles.get(app.backend, app.backend)
                says = f"{title} deploys its pushes, too, so each push deploys twice"
                remedy = f"switch it off: `dokploy-bridge adopt {shlex.quote(app.label)}`"
                yield Finding(Level.WARNING, "app.auto_deploy", app.label, says, remedy)
        elif app.pushed:
            where = next(iter(wanted_of([app], homes_of(servers.values()))), ("", ""))
            server, source = servers.get(where[0]), app.source
            name = source and (source.repository or source.url or source.type.value)
            says = f"no push of {name} can deploy it: its Git host is not served"
            remedy = f"{_secrets([server])}, and add a webhook there" if server else UNKNOWN_HOST
            yield Finding(Level.WARNING, "app.source", app.label, says, remedy)


def of_pins(
    settings: "Settings", apps: Sequence["App"], titles: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield pinned apps, by our own rules, that are not built from their own branch, or never."""
    pinned = [app for app in apps if app.rules.pin or pin_of(app)]
    try:
        apis = host_apis(settings) if pinned else {}
    except Rejected:  # what is wrong with the settings is said of them
        return
    pins = Pins(apis, homes_of(settings.host_servers().values()))
    for app in pinned:
        yield _of_pin(app, titles.get(app.backend, app.backend), pins.missing(app))


def _of_pin(app: "App", title: str, missing: str | None) -> Finding:
    """Return whether a pinned app is built from its own branch; `missing`: why that can't move."""
    name, level = shlex.quote(app.label), Level.ERROR
    pin, tracks = pin_of(app), tracked(app)
    if missing is not None:
        says = f"it can't be pinned: {missing}"
        remedy = f"set that, or run `dokploy-bridge unpin {name}`"
    elif pin is None:
        says = f"a rule pins it, and {title} does not build its own branch: nothing deploys"
        remedy = f"run `dokploy-bridge pin {name}`"
    elif tracks is None:
        says, remedy = ONE_BRANCH, f"run `dokploy-bridge pin {name} --branch main`"
    elif not app.rules.pin:
        level, says = Level.WARNING, f"{title} builds its own branch, {pin}, and no rule pins it"
        remedy = f"run `dokploy-bridge pin {name}`, or `dokploy-bridge unpin {name}`"
    else:
        level, remedy = Level.OK, ""
        says = f"it is pinned: {title} builds {pin}, which tracks {tracks}"
    return Finding(level, "app.pin", app.label, says, remedy)


UNKNOWN_HOST = (
    "set the address of its server, if the bridge supports that kind; otherwise deploy it"
    " with `dokploy-bridge deploy`"
)


def _secrets(servers: "Iterable[HostServer]") -> str:
    names = [server.setting(server.provider.secrets[0].setting) for server in servers]
    return f"set {' or '.join(names)}"


def of_verified(settings: "Settings", apps: "Sequence[App]") -> Iterator[Finding]:
    """Yield the apps whose own address our rules would verify, and which is never asked."""
    allowed = networks_of(settings.verify.allow)
    for app in apps:
        if app.verify is None or app.url is None or not app.verify.url.startswith("/"):
            continue  # a whole address is checked with the rule that has it
        if why := never_asked(app.url, allowed):
            yield Finding(Level.WARNING, "app.verify", app.label, why, ALLOW)


# ── Previews ──────────────────────────────────────────────────────────────────────────────────────

NO_CREDENTIAL = (
    "no credential of a Git host is set: which files a pull request changes is unknown, so each"
    " gets a preview; a lost webhook is not recovered; and no fork can be built"
)

IN_NO_BACKEND = "the bridge can't make apps in {}, so there are no previews"


def doubts(settings: "Settings") -> Iterator[tuple[str, str, str]]:
    """Yield what can't work of the rules' previews: the setting, what is wrong, the remedy."""
    those = [place for place, one in enumerate(settings.rules) if one.previews and one.previews.on]
    if not those:
        return
    where = f"rules.{those[0]}.previews"
    try:
        if not host_apis(settings):
            yield where, NO_CREDENTIAL, "set one, e.g. by `dokploy-bridge setup`"
    except Rejected:  # reported with the settings
        return
    makes = _makes(settings)
    if not any(makes.values()):
        yield where, IN_NO_BACKEND.format(" or ".join(makes)), "remove `previews`"


def of_previews(settings: "Settings", apps: Iterable["App"]) -> Iterator[Finding]:
    """Yield for each app with previews, by our own rules, whether they can be made."""
    wanting = previewed(apps)
    try:
        apis = host_apis(settings) if wanting else {}
    except Rejected:  # what is wrong with the settings is said of them
        return
    homes, makes = homes_of(settings.host_servers().values()), _makes(settings)
    pins = Pins(apis, homes)
    for app in wanting:
        assert app.rules.previews is not None
        place = None if app.source is None else place_of(app.source, homes)
        served = place is not None and place[0] in apis
        finding = _of_app(app, app.rules.previews, makes, pins.missing(app), served=served)
        shares = _with_the_addresses_of(app, wanting) if finding.level is Level.OK else None
        yield shares or finding


def previewed(apps: Iterable["App"]) -> "list[App]":
    """Return the apps whose pull requests have previews."""
    return [app for app in apps if app.previewed]


def building_branches(apps: Iterable["App"]) -> "Sequence[App]":
    """Return the apps of whose previews some are built from a branch of the bridge's own."""
    return [
        app for app in previewed(apps) if app.rules.previews and _moves(app, app.rules.previews)
    ]


def _moves(app: "App", policy: "PreviewPolicy") -> bool:
    """Return whether branches of its repository are moved; the embedded backend needs none."""
    for_forks = policy.forks is Forks.APPROVAL and policy.ci_secrets_for_forks
    return app.backend != EMBEDDED and (policy.pin or for_forks)


def _of_app(
    app: "App",
    policy: "PreviewPolicy",
    makes: Mapping[str, bool],
    unpinned: str | None,
    *,
    served: bool,
) -> Finding:
    """Return whether an app's pull requests can have previews.

    Args:
        makes: whether each backend can make apps.
        unpinned: why no branch of ours can be moved; None if one can.
        served: a credential of its Git host is set.
    """
    level, remedy = Level.ERROR, ""
    if not makes.get(app.backend, False):
        says = IN_NO_BACKEND.format(app.backend)
        remedy = "take `previews` out of its rule"
    elif not app.pushed:
        says = "it has no previews: its source is no Git repository"
        remedy = "take `previews` out of its rule"
    elif not served:
        level, says = Level.WARNING, NO_CREDENTIAL.replace("a Git host", "its Git host")
        remedy = "set one"
    elif unpinned is not None and _moves(app, policy):
        says = f"its previews that are built from a branch of the bridge's own fail: {unpinned}"
        remedy = "set that, or take `pin` and `ci_secrets_for_forks` out of its rule"
    else:
        level, says = Level.OK, "its pull requests have previews"
    return Finding(level, "app.previews", app.label, says, remedy)


def _with_the_addresses_of(app: "App", wanting: Iterable["App"]) -> Finding | None:
    """Return a warning if previews of another app would have the same host names."""
    host = _first_host(app)
    others = sorted(one.label for one in wanting if one.id != app.id and _first_host(one) == host)
    if host is None or not others:
        return None
    says = (
        f"its previews have the same addresses as those of {', '.join(others)}, e.g. {host}; of two"
        " with the same number only one is made"
    )
    remedy = "write {app} and {project} into `host`, or another pattern for each app"
    return Finding(Level.WARNING, "app.previews", app.label, says, remedy)


def _first_host(app: "App") -> str | None:
    """Return the host name that the preview of pull request 1 would have, by the rule's pattern."""
    policy = app.rules.previews
    return None if policy is None or policy.host is None else host_name(policy.host, app, 1)


def _makes(settings: "Settings") -> dict[str, bool]:
    found = {name: one.provider.makes_apps for name, one in settings.backends_set().items()}
    return found or {EMBEDDED: EMBEDDED_SPEAKS.makes_apps}
