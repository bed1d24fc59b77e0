"""GitHub's pages for Apps: registering one from a manifest, and installing it.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

import html
import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

PAGE = "<!doctype html><title>{title}</title><body><h1>{title}</h1>{body}</body>"
BUTTON = '<form method="post" action="{action}">{hidden}<button>{button}</button></form>'


@dataclass
class RegisteredApps:
    """The Apps that were registered here.

    Attributes:
        codes: of registrations that were not exchanged yet, with their manifests.
        manifests: those that were exchanged, by the App's slug.
        owners: the account that owns each App.
    """

    app_id: int
    slug: str
    pem: str = ""
    secret: str = "the App's own webhook secret"
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    installed: bool = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/settings/apps/new", self._form),
            web.post("/organizations/{org}/settings/apps/new", self._form),
            web.post("/settings/apps/manifest", self._create),
            web.post("/app-manifests/{code}/conversions", self._convert),
            web.get("/apps/{slug}/installations/new", self._ask_to_install),
            web.post("/apps/{slug}/installations", self._install),
        ]

    async def _form(self, request: web.Request) -> web.Response:
        """The page after the bridge's form: it shows the App, with a button that creates it."""
        form = await request.post()
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(str(value))}">'
            for name, value in {
                "manifest": form["manifest"],
                "state": request.query.get("state", ""),
                "owner": request.match_info.get("org", "octocat"),
            }.items()
        )
        button = BUTTON.format(
            action="/settings/apps/manifest", hidden=hidden, button="Create GitHub App"
        )
        return _page("Create GitHub App", button)

    async def _create(self, request: web.Request) -> web.Response:
        form = await request.post()
        manifest = json.loads(str(form["manifest"]))
        code = uuid.uuid4().hex
        self.codes[code] = manifest
        self.owners[self.slug] = str(form["owner"])
        query = urlencode({"code": code, "state": str(form["state"])})
        return _sent_to(f"{manifest['redirect_url']}?{query}")

    async def _convert(self, request: web.Request) -> web.Response:
        manifest = self.codes.pop(request.match_info["code"], None)
        if manifest is None:
            return web.json_response({"message": "Not Found"}, status=404)
        self.manifests[self.slug] = manifest
        found = {
            "id": self.app_id,
            "slug": self.slug,
            "node_id": "MDExOkludGVncmF0aW9uMQ==",
            "owner": {"login": self.owners[self.slug]},
            "name": manifest["name"],
            "html_url": f"http://{request.host}/apps/{self.slug}",
            "client_id": "Iv1.8a61f9b3a7aba766",
            "client_secret": "1726be1638095a19edd134c77bde3aa2ece1e5d8",
            "webhook_secret": self.secret,
            "pem": self.pem,
            "permissions": manifest["default_permissions"],
            "events": manifest["default_events"],
        }
        return web.json_response(found, status=201)

    async def _ask_to_install(self, request: web.Request) -> web.Response:
        action = f"/apps/{request.match_info['slug']}/installations"
        button = BUTTON.format(action=action, hidden="", button="Install")
        return _page("Install", button)

    async def _install(self, request: web.Request) -> web.Response:
        self.installed = True
        manifest = self.manifests[request.match_info["slug"]]
        query = urlencode({"installation_id": 77, "setup_action": "install"})
        return _sent_to(f"{manifest['setup_url']}?{query}")


def _page(title: str, body: str) -> web.Response:
    text = PAGE.format(title=title, body=body)
    return web.Response(text=text, content_type="text/html")


def _sent_to(place: str) -> web.Response:
    return web.Response(status=302, headers={"Location": place})
