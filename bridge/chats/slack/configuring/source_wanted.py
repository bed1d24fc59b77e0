"""What somebody asks for with the form of an app's source. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from bridge.chats.slack.configuring.source_form import SourceForm, kept_address, of
from bridge.chats.slack.drawing.fields import NONE, name_of
from bridge.core.configuring.configuration import GithubSource
from bridge.core.configuring.merge import WantedSource
from bridge.core.configuring.unfit import checked_remote
from bridge.core.watch import AppKind, SourceType, Trigger
from bridge.ports.backends import GitRepository


def source_wanted(form: SourceForm, picked: GitRepository | None = None) -> WantedSource:
    """What the form asks for; empty fields ask for nothing, or take away what was there.

    Args:
        picked: the repository that was chosen from a list, where one was.
    """
    kind = form.kind
    if kind is SourceType.DOCKER:
        return WantedSource(kind, _wanted_image(form))
    fields: dict[str, Any] = _wanted_place(form, picked)
    fields |= {
        "branch": _text(form, "branch"),
        "submodules": "submodules" in _ticked(form, "clone"),
    }
    if form.app.kind is AppKind.APPLICATION:
        fields["build_path"] = _text(form, "build_path")
    fields["trigger"] = form.trigger.value
    if form.trigger is Trigger.PUSH:
        fields["branches"] = _text(form, "branches")
        if form.given is None or "watch_paths" in form.given:  # else too long to be shown
            lines = (_text(form, "watch_paths") or "").splitlines()
            fields["watch_paths"] = tuple(line.strip() for line in lines if line.strip()) or None
    else:
        fields |= {name: _text(form, name) for name in ("tags", "versions", "tag_prefix")}
        policy = form.value("prereleases")
        fields["prereleases"] = None if policy in (NONE, None) else policy
        fields["only_newer"] = "only_newer" in _ticked(form, "order") or None
    return WantedSource(kind, fields)


def _wanted_place(form: SourceForm, picked: GitRepository | None) -> dict[str, Any]:
    kind = form.kind
    if kind is SourceType.GIT:
        fields: dict[str, Any] = {"ssh_key_id": _text(form, "ssh_key_id")}
        url = _text(form, "url")
        if url != of(form.now, kind, "url"):
            checked_remote(url)
        return fields | ({"url": url} if url or not kept_address(form.now) else {})
    if picked is not None and form.account is not None:
        fields = {"owner": picked.owner, "repository": picked.name, "provider_id": form.account.id}
        gitlab = {"path": picked.path, "project_id": picked.id}
        return fields | (gitlab if kind is SourceType.GITLAB else {})
    path = (_text(form, "path") or "").strip("/")
    if kind is SourceType.GITLAB:
        return _typed_gitlab(form, path)
    owner, _, name = path.rpartition("/")
    fields = {"owner": owner, "repository": name}
    known = isinstance(form.now.saved.provider, GithubSource)
    return fields if known else fields | {"provider_id": None}


def _typed_gitlab(form: SourceForm, path: str) -> dict[str, Any]:
    """GitLab's owner is the last group of a path; one that is there already may be another."""
    fields: dict[str, Any] = {"path": path, "project_id": _text(form, "project_id")}
    if path != of(form.now, SourceType.GITLAB, "path"):
        group, _, name = path.rpartition("/")
        fields |= {"owner": group.rpartition("/")[2], "repository": name}
    return fields


def _wanted_image(form: SourceForm) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: _text(form, name) for name in ("image", "registry_url", "username")
    }
    if password := (form.given or {}).get("password"):
        fields["password"] = SecretStr(password)
    elif "password" in _ticked(form, "forget"):
        fields["password"] = None
    return fields


def block_of(field: str, view: Mapping[str, Any]) -> str:
    """The block of a view that an error about a field belongs beside; the first for others."""
    ids = [str(block.get("block_id", "")) for block in view.get("blocks", ())]
    inputs = {name_of(id_): id_ for id_ in reversed(ids) if "." in id_}
    for name in (field, *_BESIDE.get(field, ())):
        if name in inputs:
            return inputs[name]
    return next(reversed(inputs.values()), "")


_BESIDE = {
    "provider_id": ("account", "path", "repository"),
    "owner": ("path", "repository"),
    "repository": ("path",),
    "path": ("repository",),
    "project_id": ("repository",),
    "only_newer": ("order",),
    "submodules": ("clone",),
}
"""Fields that stand in the form under other names."""


def _text(form: SourceForm, name: str) -> str | None:
    value = form.value(name)
    return str(value).strip() or None if value is not None else None


def _ticked(form: SourceForm, name: str) -> Sequence[str]:
    return tuple(form.value(name) or ())
