"""Find faults in the proxies and authorities that the environment names."""

from collections.abc import Callable, Iterator
from functools import partial

from bridge.connecting import CannotConnect
from bridge.connecting.proxies import proxy_for
from bridge.connecting.trust import trusted


def troubles() -> list[str]:
    """Return why some addresses can't be asked, as the errors of clients say it."""
    proxies = (partial(proxy_for, f"{scheme}://any") for scheme in ("https", "http"))
    return [*_trouble(trusted), *(said for one in proxies for said in _trouble(one))]


def _trouble(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except CannotConnect as error:
        yield str(error)
