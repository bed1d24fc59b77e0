"""Check whether people can sign in to the console."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, Unreachable
from bridge.ports.checks import Finding, Level
from bridge.ports.sign_in import ClientRefused

if TYPE_CHECKING:
    from bridge.ports.sign_in import SignsIn


async def of_sign_in(key: str, way: "SignsIn", public_url: str | None) -> AsyncIterator[Finding]:
    """Yield whether people can sign in with a service."""
    from bridge.console.sign_in import back_to

    about = f"console {key}"
    try:
        await way.check()
    except Unreachable as error:
        remedy = "check its address, and whether it runs; people can use `dokploy-bridge console`"
        yield Finding(Level.ERROR, "console.reach", about, str(error), remedy)
        return
    except BridgeError as error:
        check = "console.client" if isinstance(error, ClientRefused) else "console.issuer"
        remedy = "nobody can sign in with it until then"
        yield Finding(Level.ERROR, check, about, str(error), remedy)
        return
    if public_url is None:
        says = (
            "public_url is not set, so the callback address depends on the address that people use"
        )
        remedy = "set BRIDGE_PUBLIC_URL, and register the callback address that it gives"
        yield Finding(Level.WARNING, "console.callback", about, says, remedy)
        return
    says = f"{way.title} answers; the callback address to register there is"
    yield Finding(Level.OK, "console.issuer", about, f"{says} {back_to(public_url, key)}")
