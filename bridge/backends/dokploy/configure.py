"""Convert settings to the bodies of saves, and saved settings back. Pure.

A save resets the fields that it does not name, so every field is sent each time. An update
changes only the fields that it names.
Fields: docs/dokploy.md, "Inputs".
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from bridge.backends.dokploy.models import Settings
from bridge.backends.dokploy.reads import trigger_of
from bridge.core.apps import App, AppKind, SourceType
from bridge.core.configuration.configuration import (
    BRANCH,
    BuildType,
    Environment,
    ProviderSettings,
    Saved,
    source_in,
    stored_fields,
)
from bridge.core.configuration.fields import ALL, BUILD, ENVIRONMENT, FIELDS, Field
from bridge.core.configuration.row import columns_of, plain, row_in
from bridge.core.errors import Refused

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
    if app.kind is AppKind.COMPOSE or _only_updated(getattr(settings, "branch", "")):
        return source_call(app, {"source": kind} | fields)
    return f"application.save{kind.title()}Provider", id_of(app) | columns_of(fields)


def _only_updated(branch: str) -> bool:
    """Return whether a branch can be built, and only updates take it (docs/dokploy.md)."""
    return re.fullmatch(BRANCH, branch) is not None and not _OF_SAVES(branch)


def source_call(app: App, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that set single fields of the stored sources."""
    if app.kind is AppKind.APPLICATION:
        return "application.update", id_of(app) | columns_of(fields)
    if fields.get("source") == SourceType.DOCKER or _says(fields, "docker."):
        raise Refused(app.backend, _NO_IMAGE)
    if any(str(value).strip("/") for value in _ending(fields, ".build_path") if value):
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
    return {one.columns[ALL]: plain(getattr(settings, one.name)) for one in fields}


def _named(settings: Settings, fields: Iterable[Field]) -> dict[str, Any]:
    """Return fields of the saved settings by our names."""
    return {one.name: getattr(settings, one.columns[ALL]) for one in fields}


def _says(fields: Mapping[str, Any], beginning: str) -> bool:
    return any(value for name, value in fields.items() if name.startswith(beginning))


def _ending(fields: Mapping[str, Any], end: str) -> list[Any]:
    return [value for name, value in fields.items() if name.endswith(end)]
