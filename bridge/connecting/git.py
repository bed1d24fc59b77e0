"""Tell Git how to connect, as our clients do."""

from collections.abc import Mapping
from pathlib import Path

from bridge.connecting import AGENT
from bridge.connecting.trust import authorities_folder, names_authorities, write_authorities

_AGENT = f"git/2 {AGENT}"
"""Some hosts only let in who begins like Git."""

_SILENT_SECONDS = 60


def git_settings(folder: Path, authorities: Mapping[str, str]) -> dict[str, str]:
    """Return Git's settings; its proxies are in `proxies.proxy_variables`.

    Git trusts a single file, so it gets one with all authorities.

    Args:
        folder: where such files are written; it is private, and outlives Git.
        authorities: PEM files by the addresses of their servers.

    Raises:
        CannotConnect: a file with authorities can't be read.
    """
    settings = {
        "http.userAgent": _AGENT,
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": str(_SILENT_SECONDS),
    }
    if (more := authorities_folder()) is not None:
        settings["http.sslCAPath"] = more
    if names_authorities():
        settings["http.sslCAInfo"] = _written(folder / "authorities.pem", None)
    for number, (url, ca) in enumerate(authorities.items()):
        file = folder / f"authorities-{number}.pem"
        settings[f"http.{url}.sslCAInfo"] = _written(file, ca)
    return settings


def _written(file: Path, ca: str | None) -> str:
    write_authorities(file, ca)
    return str(file)
