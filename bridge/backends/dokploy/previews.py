"""The previews that Dokploy makes by itself for apps from GitHub. Pure."""

import re
from collections.abc import Iterable, Mapping

from bridge.backends.dokploy.models import PreviewRecord
from bridge.backends.dokploy.reads import MAKER, address_of
from bridge.core.apps import App
from bridge.core.previews.native import NativePreview, NativeState

_HASH = re.compile(r"Hash: ([0-9a-f]{64}|[0-9a-f]{40})\s*")
_STATES: Mapping[str, NativeState] = {
    "running": NativeState.BUILDING,
    "done": NativeState.UP,
    "error": NativeState.FAILED,
    "cancelled": NativeState.CANCELLED,
}


def previews_in(records: Iterable[PreviewRecord], app: App) -> list[NativePreview]:
    """Return an app's previews, the last built one first.

    A preview's own status stays "running" if Dokploy is killed or GitHub refuses its comment, so
    that of its newest build counts; Dokploy sets `createdAt` anew with each build.
    """
    found = [_preview(one, app) for one in records]
    return sorted(found, key=lambda one: (-one.active_at, one.id))


def _preview(record: PreviewRecord, app: App) -> NativePreview:
    newest = max(record.deployments, key=lambda one: one.created_at, default=None)
    commit = None if newest is None else _HASH.fullmatch(newest.description or "")
    return NativePreview(
        id=record.id,
        maker=MAKER,
        app_id=app.id,
        app=app.label,
        backend=app.backend,
        number=record.number,
        title=record.title,
        branch=record.branch,
        pull_url=record.pull_url,
        state=_state(newest.status) if newest else NativeState.WAITING,
        commit=commit[1] if commit else None,
        url=address_of(record.domain) if record.domain and record.domain.host else None,
        page=f"{app.page}?tab=preview-deployments" if app.page else None,
        active_at=record.created_at,
    )


def _state(status: str | None) -> NativeState:
    # An unknown status does not say that it has ended.
    return _STATES.get(status or "", NativeState.BUILDING)
