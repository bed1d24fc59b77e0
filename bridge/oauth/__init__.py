"""Signing in by OAuth 2.0 and OpenID Connect: what all services share, and any OIDC provider."""

from typing import TYPE_CHECKING, Any

from bridge.ports.sign_in import Naming, SignInProvider

if TYPE_CHECKING:
    from bridge.core.access import Access
    from bridge.ports.sign_in import SignsIn


def _open(section: Any, access: "Access") -> "SignsIn | None":
    from bridge.oauth.openid import opened

    return opened(section, access)


OIDC = SignInProvider(
    names=(
        Naming(r"oidc:@[^\x00-\x1f\x7f]{1,255}", "a group's name (oidc:@deployers)", group=True),
        Naming(r"oidc:[\x21-\x3f\x41-\x7e][\x21-\x7e]{0,254}", "a subject (oidc:248289761001)"),
    ),
    open=_open,
)
"""Any provider of OpenID Connect."""
