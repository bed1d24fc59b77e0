"""The columns of the bridge's own applications: what one has, and what it should have. Pure.

Only what is named here is taken over from a model. Limits are texts, of bytes and of billionths of
a core; numbers are refused (docs/dokploy.md, "Environments and applications").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from bridge.backends.dokploy.models import ModelApp, OwnApp, OwnDomain
from bridge.core.apps import SourceType
from bridge.core.configuration.fields import ALL, BUILD, FIELDS, PUSHED, SHARED, SOURCE
from bridge.core.configuration.row import plain
from bridge.core.errors import Refused
from bridge.ports.backends import Address, Build

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
    taken = _source_of(build, model) | _build_of(model)
    return taken | {
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
    there = [one for one in SOURCE if kind in one.columns and one.name not in SHARED]
    taken = {one.columns[kind]: getattr(model, one.columns[kind]) for one in there}
    needed = "url" if kind == "git" else "repository"
    if not taken[FIELDS[needed].columns[kind]]:
        raise Refused(app.backend, f"{app.label} has no repository to build from")
    taken[FIELDS["branch"].columns[kind]] = build.ref
    if build.mirror is not None:
        if kind != SourceType.GITHUB:
            raise Refused(app.backend, f"{app.label} has no GitHub account to clone a mirror with")
        taken["owner"], _, taken["repository"] = build.mirror.partition("/")
    return {"sourceType": kind} | taken | _told({"enableSubmodules": model.enable_submodules})


def _build_of(model: ModelApp) -> dict[str, Any]:
    taken = {one.columns[ALL]: getattr(model, one.columns[ALL]) for one in BUILD}
    return _told(taken | {"createEnvFile": model.create_env_file})


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
    missing = list({str(one): one for one in map(domain_of, addresses)}.values())
    superfluous = []
    for one in sorted(stored, key=lambda one: (one.created_at or "", one.id)):
        has = _columns_of(one)
        if has in missing:
            missing.remove(has)
        else:
            superfluous.append(one.id)
    return superfluous, missing


def _columns_of(domain: OwnDomain) -> dict[str, Any]:
    return {
        "host": domain.host,
        "path": domain.path or "/",
        "port": domain.port,
        "https": domain.https,
        "certificateType": domain.certificate_type or "none",
        "customCertResolver": domain.custom_cert_resolver or "",
    }
