"""The GitHub App that the bridge works as: what it may do, and where its webhooks go.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-using-url-parameters
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from bridge.githosts.github.credentials import PERMISSIONS

EVENTS = ("push", "pull_request")
"""All that the bridge reads; pull requests for those that are opened after their pushes. `create`
would tell of each tag a second time."""

LONGEST_NAME = 34
"""Characters of an App's name that GitHub takes."""


def github_manifest(url: str, name: str = "dokploy-bridge") -> dict[str, Any]:
    """The manifest of an App for a bridge at `url`, with the least permissions."""
    return {
        "name": name,
        "url": url,
        "description": "Deploys what is pushed, and says on pull requests and commits how it went.",
        "public": False,
        "hook_attributes": {"url": f"{url}/hooks/github", "active": True},
        "default_permissions": dict(PERMISSIONS),
        "default_events": list(EVENTS),
    }


def registration_link(
    manifest: Mapping[str, Any], *, server: str = "https://github.com", org: str | None = None
) -> str:
    """A link to GitHub's form for a new App, filled in from a manifest.

    Args:
        org: the organisation that shall own it, instead of whoever opens the link.
    """
    owner = f"/organizations/{quote(org, safe='')}" if org else ""
    filled = {
        "name": manifest["name"],
        "url": manifest["url"],
        "description": manifest["description"],
        "public": "false",
        "webhook_active": "true",
        "webhook_url": manifest["hook_attributes"]["url"],
        "events[]": manifest["default_events"],
        **manifest["default_permissions"],
    }
    return f"{server.rstrip('/')}{owner}/settings/apps/new?{urlencode(filled, doseq=True)}"
