"""What is wrong with the proxies and authorities that the environment names."""

from functools import partial

from bridge.connecting import CannotConnect
from bridge.connecting.proxies import proxy_for
from bridge.connecting.trust import trusted


def troubles() -> list[str]:
    """Return why some addresses can't be asked, as the errors of clients say it."""
    found: list[str] = []
    for check in (trusted, *(partial(proxy_for, f"{one}://any") for one in ("https", "http"))):
        try:
            check()
        except CannotConnect as error:
            found.append(str(error))
    return found
