"""Convert settings to the bodies of saves, and saved settings back. Pure.

A save resets the fields that it does not name, so every field is sent each time. An update
changes only the fields that it names. Fields: docs/dokploy.md, "Inputs".

An application of the bridge's own takes over from its model only what is named here. Limits are
texts, of bytes and of billionths of a core; numbers are refused (docs/dokploy.md, "Environments and
applications").
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError

from bridge.backends.dokploy.models import ModelApp, OwnApp, OwnDomain, Settings
from bridge.backends.dokploy.reads import trigger_of
from bridge.core.apps import App, AppKind, SourceType
from bridge.core.configuration.configuration import (
    BRANCH,
    BuildType,
    Environment,
    ProviderSettings,
    Saved,
    columns_of,
    plain,
    row_in,
    source_in,
    stored_fields,
)
from bridge.core.configuration.fields import (
    ALL,
    BUILD,
    ENVIRONMENT,
    FIELDS,
    PUSHED,
    SHARED,
    SOURCE,
    Field,
)
from bridge.core.errors import Refused
from bridge.ports.backends import Address, Build

_OF_SAVES = re.compile(r"[a-zA-Z0-9._\-/#]*").fullmatch
"""The branches that the saves of sources take."""

_NO_IMAGE = "a compose stack can't come from an image; save a Git source"
_NO_BUILD_PATH = "a compose stack has no build path, only its compose file"
_NO_BUILD = "a compose stack has no build settings; its compose file says how it is built"
_OF_BUILDS = ("build_args", "build_secrets")


def id_of(app: App) -> dict[str, str]:
    """Return `{"applicationId": …}` or `{"composeId": …}`."""
    return {f"{app.kind.value}Id": app.id}


def provider_call(app: App, settings: ProviderSettings) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set an app's source."""
    fields, kind = stored_fields(settings), settings.type.value
    branch = getattr(settings, "branch", "")
    # Some branches can be built, and only updates take them (docs/dokploy.md).
    only_updated = re.fullmatch(BRANCH, branch) is not None and not _OF_SAVES(branch)
    if app.kind is AppKind.COMPOSE or only_updated:
        return source_call(app, {"source": kind} | fields)
    return f"application.save{kind.title()}Provider", id_of(app) | columns_of(fields)


def source_call(app: App, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set single fields of the stored sources."""
    if app.kind is AppKind.APPLICATION:
        return "application.update", id_of(app) | columns_of(fields)
    set_ = {name: value for name, value in fields.items() if value}
    if set_.get("source") == SourceType.DOCKER or any(name.startswith("docker.") for name in set_):
        raise Refused(app.backend, _NO_IMAGE)
    if any(name.endswith(".build_path") and str(set_[name]).strip("/") for name in set_):
        raise Refused(app.backend, _NO_BUILD_PATH)
    there = {name: value for name, value in fields.items() if not name.endswith(".build_path")}
    return "compose.update", id_of(app) | columns_of(there)


def build_call(app: App, settings: BuildType) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set how an application is built."""
    if app.kind is AppKind.COMPOSE:
        raise Refused(app.backend, _NO_BUILD)
    return "application.saveBuildType", id_of(app) | _columns(settings, BUILD)


def environment_call(app: App, settings: Environment) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set an app's environment; the body is secret."""
    body = _columns(settings, ENVIRONMENT)
    if app.kind is AppKind.APPLICATION:
        return "application.saveEnvironment", id_of(app) | body
    of_builds = [body.pop(FIELDS[name].columns[ALL]) for name in _OF_BUILDS]
    if any(of_builds):
        raise Refused(app.backend, f"{_NO_BUILD}, build arguments and build secrets included")
    return "compose.update", id_of(app) | body


def saved_in(app: App, settings: Settings) -> Saved:
    """Return saved settings in the forms that the saves take."""
    application = app.kind is AppKind.APPLICATION
    row = row_in(settings.model_dump(by_alias=True))
    variables = _named(settings, ENVIRONMENT)
    variables["create_env_file"] = variables["create_env_file"] is not False
    if not application:
        variables |= dict.fromkeys(_OF_BUILDS)
    return Saved(
        provider=source_in(row) if application or row.source != SourceType.DOCKER else None,
        build=_build_in(app, settings) if application else None,
        environment=Environment(**variables),
        watch_paths=settings.watch_paths,
        submodules=settings.enable_submodules,
        trigger=trigger_of(settings),
        row=row,
    )


def _build_in(app: App, settings: Settings) -> BuildType:
    named = _named(settings, BUILD)
    try:
        return BuildType.model_validate(named)
    except ValidationError:  # not chained: pydantic's message repeats the input
        words = f"the build type {named['build_type']!r} of {app.label} is unknown here"
        raise Refused(app.backend, words) from None


def _columns(settings: BuildType | Environment, fields: Iterable[Field]) -> dict[str, Any]:
    """Return fields of the settings by the server's names; secrets in the clear."""
    return {field.columns[ALL]: plain(getattr(settings, field.name)) for field in fields}


def _named(settings: Settings, fields: Iterable[Field]) -> dict[str, Any]:
    """Return fields of the saved settings by our names."""
    return {field.name: getattr(settings, field.columns[ALL]) for field in fields}


# ── Applications of the bridge's own ──────────────────────────────────────────────────────────────

_KINDS = (*PUSHED, "bitbucket")
_NANO = 1_000_000_000
_NEVER_NULL = ("enableSubmodules", "createEnvFile", "buildType")
_SECRETS = tuple(FIELDS[name].columns[ALL] for name in ("env", "build_args", "build_secrets"))
_FIXED: Mapping[str, Any] = {
    "autoDeploy": False,
    "isPreviewDeploymentsActive": False,
    "replicas": 1,
}


def columns_for(build: Build, model: ModelApp) -> dict[str, Any]:
    """Return what an application has to store, by Dokploy's names.

    Raises:
        Refused: the model is not built from a branch.
    """
    taken = {field.columns[ALL]: getattr(model, field.columns[ALL]) for field in BUILD}
    taken |= {"createEnvFile": model.create_env_file}
    return {
        **_source_of(build, model),
        **_told(taken),
        "env": build.environment,
        "buildArgs": build.build_args,
        "buildSecrets": None,
        "memoryLimit": str(build.memory),
        "cpuLimit": None if build.cpus is None else str(round(build.cpus * _NANO)),
        **_FIXED,
    }


def _source_of(build: Build, model: ModelApp) -> dict[str, Any]:
    app, kind = build.model, model.source_type or ""
    if kind not in _KINDS:
        words = f"{app.label} is built from {kind or 'nothing'}, not from a branch of a repository"
        raise Refused(app.backend, words)
    there = [field for field in SOURCE if kind in field.columns and field.name not in SHARED]
    taken = {field.columns[kind]: getattr(model, field.columns[kind]) for field in there}
    needed = "url" if kind == "git" else "repository"
    if not taken[FIELDS[needed].columns[kind]]:
        raise Refused(app.backend, f"{app.label} has no repository to build from")
    taken[FIELDS["branch"].columns[kind]] = build.ref
    if build.mirror is not None:
        if kind != SourceType.GITHUB:
            raise Refused(app.backend, f"{app.label} has no GitHub account to clone a mirror with")
        taken["owner"], _, taken["repository"] = build.mirror.partition("/")
    return {"sourceType": kind} | taken | _told({"enableSubmodules": model.enable_submodules})


def _told(columns: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a server does not tell, and would not take as null."""
    return {
        name: value
        for name, value in columns.items()
        if value is not None or name not in _NEVER_NULL
    }


def differing(app: OwnApp, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns to write; a stored null and "" are the same."""
    stored = {name: plain(value) for name, value in app.model_dump(by_alias=True).items()}
    return {name: value for name, value in wanted.items() if not _same(stored.get(name), value)}


def not_stored(app: OwnApp, missing: Mapping[str, Any]) -> str:
    """Return words about the first column that was not stored as asked; they show no secret."""
    name, wanted = next(iter(missing.items()))
    if name in _SECRETS:
        return f"it has not stored the {name} that it was sent"
    stored = app.model_dump(by_alias=True).get(name)
    shown = "a value that is not shown" if isinstance(stored, SecretStr) else repr(stored)
    return f"it has stored {shown} as {name}, not {wanted!r}"


def _same(stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) or isinstance(stored, str):
        return (stored or None) == (wanted or None)
    return type(stored) is type(wanted) and bool(stored == wanted)


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────

_CERTIFICATES = ("letsencrypt", "none")


def domain_of(address: Address) -> dict[str, Any]:
    """Return the columns of a domain; a port in the host is that of visitors, not stored."""
    own = address.certificate not in _CERTIFICATES
    return {
        "host": address.host.partition(":")[0],
        "path": address.path,
        "port": address.port,
        "https": address.https,
        "certificateType": "custom" if own else address.certificate,
        "customCertResolver": address.certificate if own else "",
    }


def domain_changes(
    stored: Iterable[OwnDomain], addresses: Sequence[Address]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the ids of the domains to delete, and the domains to create.

    Of two that are the same, which Dokploy allows, the older one stays.
    """
    missing = list({str(domain): domain for domain in map(domain_of, addresses)}.values())
    superfluous = []
    for one in sorted(stored, key=lambda one: (one.created_at or "", one.id)):
        has = {
            "host": one.host,
            "path": one.path or "/",
            "port": one.port,
            "https": one.https,
            "certificateType": one.certificate_type or "none",
            "customCertResolver": one.custom_cert_resolver or "",
        }
        if has in missing:
            missing.remove(has)
        else:
            superfluous.append(one.id)
    return superfluous, missing
