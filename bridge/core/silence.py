"""Repositories whose hosts say nothing: a webhook that is not set fails silently. Pure."""

from collections.abc import Iterable, Mapping

from bridge.core.watch import App, SourceType

DAY = 86_400.0
QUIET = 30 * DAY
"""Seconds without a push after which it is worth a look whether the webhook still works."""

_HOOKED = {SourceType.GITHUB, SourceType.GITLAB, SourceType.GIT}


def silent(apps: Iterable[App], last: Mapping[str, float], now: float) -> list[str]:
    """What to say of repositories that no push has come from for long, or never.

    Args:
        last: when the last push of an app's repository came, by the app's id.
    """
    newest: dict[str, float | None] = {}
    for app in apps:
        source = app.source
        name = (source.repository or source.url) if source else None
        if source is None or name is None or source.type not in _HOOKED:
            continue
        if name.startswith("file:"):  # a folder of this machine, which has no host
            continue
        times = [at for at in (newest.get(name), last.get(app.id)) if at is not None]
        newest[name] = max(times, default=None)
    return [said for name, at in sorted(newest.items()) if (said := _said(name, at, now))]


def _said(name: str, at: float | None, now: float) -> str:
    if at is None:
        return f"No push of {name} has ever come: is its webhook set?"
    days = int((now - at) / DAY)
    return f"No push of {name} has come for {days} days." if now - at > QUIET else ""
