"""A fake GitHub that records what the bridge reads and writes; see `fakes.host`.

Answers are the examples of the contract in `tests/fixtures/contracts` with the fake's own facts
in them, so each has every field that GitHub sends; a test holds them against the schemas.
"""

import hashlib
import hmac
import re
import time
import uuid
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.checks import ACTIONS, checks_routes, protection_of
from tests.fakes.github_app import RegisteredApps
from tests.fakes.github_examples import LINKED, REPOSITORY, example, stamp, told_of
from tests.fakes.github_pulls import GithubPulls
from tests.fakes.host import FakeDeployment, FakeHook, FakeRepository, FakeSending
from tests.fakes.identity import GithubAccounts
from tests.fakes.pages import page
from tests.fakes.pulls import FakeComment, FakePull

LISTED = 300
PERMISSIONS = {
    "contents": "read", "deployments": "write", "metadata": "read",
    "pull_requests": "write", "statuses": "write", "checks": "write",
}  # fmt: skip
NEEDED = ("push", "pull_request", "check_run", "check_suite", "status")


class FakeGithub(GithubPulls):
    """Accept a token `token`, or the App `app_id` with any key (its signature is not checked)."""

    name = "github"
    place = "repos"
    pages = re.compile(
        "/login/oauth/|(/organizations/[^/]+)?/settings/apps/|/apps/[^/]+/installations"
    )
    token = "ghp_atokenofthetests"
    app_id = 12345
    slug = "dokploy-bridge"
    login = "octocat"
    """The owner of the token."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {self.token}
        """The accepted tokens, all of the same person."""
        self.app_hooks: list[FakeHook] = []
        self.sees_hooks = True
        """Whether the credential may see webhooks."""
        self.installation = 77
        self.installed: set[str] | None = None
        """The names of repositories with the App installed; None: all."""
        self.scopes: str | None = None
        """Of the token, if it is a classic one."""
        self.expires: str | None = None
        """When the token does, as GitHub says it."""
        self.permissions = dict(PERMISSIONS)
        self.suspended = False
        self.app_events = list(NEEDED)
        self.apps = RegisteredApps(self.app_id, self.slug)
        self.accounts = GithubAccounts()
        """Of people who sign in elsewhere with GitHub."""
        self.linked = dict(LINKED)
        """The accounts of addresses, as logins and numbers."""
        self.token_seconds = 3600.0
        self.slugs = {"github-actions": ACTIONS}
        """The numbers of Apps by their slugs."""
        self.issued: dict[str, float] = {}
        """Every token that the App got, and when it expires."""
        self.granted: dict[str, dict[str, str]] = {}
        """The permissions of these."""

    @property
    def settings(self) -> dict[str, str]:
        return {
            "BRIDGE_GITHUB_API_URL": self.url,
            "BRIDGE_GITHUB_WEB_URL": self.web_url,
            "BRIDGE_GITHUB_TOKEN": self.token,
        }

    def app_hook(self, url: str, secret: str) -> FakeHook:
        """The webhook of the App."""
        self.app_hooks = [FakeHook(next(self._numbers), "app", url, secret)]
        return self.app_hooks[0]

    def hooks_of(self, repository: FakeRepository) -> list[FakeHook]:
        return [*super().hooks_of(repository), *self.app_hooks]

    def prepared(self, hook: FakeHook, event: str, payload: dict[str, Any]) -> FakeSending:
        guid = str(uuid.uuid4())
        sending = FakeSending(next(self._numbers), guid, event, {}, payload, time.time())
        signature = hmac.new(hook.secret.encode(), self.body_of(sending), hashlib.sha256)
        sending.headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-ID": str(hook.id),
            "X-Hub-Signature-256": f"sha256={signature.hexdigest()}",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/fake",
        }
        return sending

    def too_many(self) -> web.Response:
        said = "You have exceeded a secondary rate limit. Please wait a few minutes."
        return web.json_response({"message": said}, status=403, headers={"Retry-After": "1"})

    def refusal(self, request: web.Request) -> web.Response | None:
        pages = ("/app-manifests/", "/apps/", "/settings/", "/organizations/", "/login/")
        if request.path.startswith(pages) and "Authorization" not in request.headers:
            return None
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        wants_app = re.match(r"/app(/|$)|.*/installation$", request.path)
        if wants_app:
            good = kind == "Bearer" and given.count(".") == 2
        else:
            known = self.tokens | self.accounts.tokens
            good = given in known or self.issued.get(given, 0) > time.time()
        return None if good else web.json_response({"message": "Bad credentials"}, status=401)

    def routes(self) -> list[web.RouteDef]:
        r = "/repos/{owner}/{repo}"
        found = [
            web.get("/user", self._user),
            web.get("/app", self._app),
            web.get("/app/installations", self._installations),
            web.get("/apps/{slug}", self._app_named),
            *self.apps.routes(),
            *self.accounts.routes(),
            web.get(f"{r}/installation", self._installed),
            web.post("/app/installations/{id}/access_tokens", self._issue),
            web.get(r, self._seen),
            web.get(f"{r}/commits/{{sha}}", self._commit),
            *self.pull_routes(),
            web.get(f"{r}/issues/{{number}}/comments", self._comments),
            web.post(f"{r}/issues/{{number}}/comments", self._comment),
            web.patch(f"{r}/issues/comments/{{id}}", self._edit),
            web.post(f"{r}/statuses/{{sha}}", self._status),
            *checks_routes(self),
            web.get(f"{r}/deployments", self._deployments),
            web.post(f"{r}/deployments", self._deploy),
            web.post(f"{r}/deployments/{{id}}/statuses", self._deployment_status),
            web.get(f"{r}/compare/{{range}}", self._compare),
            web.get(f"{r}/git/trees/{{sha}}", self._tree),
            web.get(f"{r}/branches/{{branch}}", self._branch),
            web.get(f"{r}/tags", self._tags),
            web.post(f"{r}/git/refs", self._make_ref),
            web.patch(f"{r}/git/refs/{{ref}}", self._move_ref),
            web.delete(f"{r}/git/refs/{{ref}}", self._drop_ref),
            web.get("/orgs/{org}", self._org),
            *(
                route
                for place in (r, "/orgs/{org}")
                for route in (
                    web.get(f"{place}/hooks", self._hooks),
                    web.post(f"{place}/hooks", self.create_hook),
                    web.patch(f"{place}/hooks/{{hook}}", self.change_hook),
                    web.delete(f"{place}/hooks/{{hook}}", self.delete_hook),
                    web.post(f"{place}/hooks/{{hook}}/pings", self._ping),
                )
            ),
            web.get("/app/hook/config", self._hook_config),
            web.patch("/app/hook/config", self._change_app_hook),
        ]
        for hook in (f"{r}/hooks/{{hook}}", "/orgs/{org}/hooks/{hook}", "/app/hook"):
            found += [
                web.get(f"{hook}/deliveries", self._sent),
                web.get(f"{hook}/deliveries/{{id}}", self._one_sent),
                web.post(f"{hook}/deliveries/{{id}}/attempts", self._send_again),
            ]
        return found

    # who asks

    async def _user(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"].partition(" ")[2] in self.accounts.tokens:
            who = {"login": self.accounts.login, "id": self.accounts.id}
            return web.json_response(example("/user") | who)
        told = {
            "X-OAuth-Scopes": self.scopes,
            "github-authentication-token-expiration": self.expires,
        }
        headers = {name: value for name, value in told.items() if value is not None}
        return web.json_response(example("/user") | {"login": self.login}, headers=headers)

    async def _app(self, request: web.Request) -> web.Response:
        facts = {"id": self.app_id, "slug": self.slug, "events": self.app_events}
        return web.json_response(example("/app") | facts | {"permissions": self.permissions})

    async def _app_named(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        if slug not in self.slugs:
            raise web.HTTPNotFound(text="Not Found")
        return web.json_response(
            example("/apps/{app_slug}") | {"id": self.slugs[slug], "slug": slug}
        )

    async def _installed(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        if self.installed is not None and repository.name not in self.installed:
            raise web.HTTPNotFound(text="Not Found")
        facts = {
            "id": self.installation,
            "app_id": self.app_id,
            "permissions": self.permissions,
            "suspended_at": stamp() if self.suspended else None,
        }
        return web.json_response(example(f"{REPOSITORY}/installation") | facts)

    async def _installations(self, request: web.Request) -> web.Response:
        one = example(f"{REPOSITORY}/installation") | {"id": self.installation}
        one["account"] = one["account"] | {"login": self.apps.owners.get(self.slug, "my-org")}
        return web.json_response([one] if self.apps.installed else [])

    async def _issue(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != str(self.installation):
            raise web.HTTPNotFound(text="Not Found")
        asked = await request.json()
        token = f"ghs_{uuid.uuid4().hex}"
        self.issued[token] = time.time() + self.token_seconds
        self.granted[token] = asked.get("permissions", {})
        path = "/app/installations/{installation_id}/access_tokens"
        facts = {
            "token": token,
            "expires_at": stamp(self.issued[token]),
            "permissions": asked.get("permissions", {}),
        }
        return web.json_response(example(path, "post", "201") | facts, status=201)

    # feedback

    async def _seen(self, request: web.Request) -> web.Response:
        found = self._repository(request)
        shown = self._named(found)
        shown["permissions"] |= {"push": self.may_write}
        return web.json_response(shown)

    async def _commit(self, request: web.Request) -> web.Response:
        repository, sha = self._repository(request), request.match_info["sha"]
        if sha not in repository.commits:
            raise web.HTTPUnprocessableEntity(text=f"No commit found for SHA: {sha}")
        return web.json_response(told_of(repository.commits[sha], self.linked) | {"files": []})

    async def _comments(self, request: web.Request) -> web.Response:
        return page(request, [self._shown(one) for one in self.pull_in(request).comments])

    async def _comment(self, request: web.Request) -> web.Response:
        thread, body = self.pull_in(request), (await request.json())["body"]
        if len(body) > 65536:
            raise web.HTTPUnprocessableEntity(text="body is too long (maximum is 65536 characters)")
        made = FakeComment(next(self._numbers), self._author(request), body, [body])
        thread.comments.append(made)
        return web.json_response(self._shown(made), status=201)

    async def _edit(self, request: web.Request) -> web.Response:
        wanted, body = int(request.match_info["id"]), (await request.json())["body"]
        for pull in self._repository(request).pulls.values():
            for comment in pull.comments:
                if comment.id == wanted:
                    comment.body = body
                    comment.history.append(body)
                    return web.json_response(self._shown(comment))
        raise web.HTTPNotFound(text="Not Found")

    def _shown(self, comment: FakeComment) -> dict[str, Any]:
        shown: dict[str, Any] = example(f"{REPOSITORY}/issues/{{issue_number}}/comments")[0]
        shown |= {"id": comment.id, "body": comment.body}
        shown["user"] |= {"login": comment.author}
        return shown

    async def _status(self, request: web.Request) -> web.Response:
        repository, said = self._repository(request), await request.json()
        sha = request.match_info["sha"]
        if sha not in repository.commits:
            raise web.HTTPUnprocessableEntity(text=f"No commit found for SHA: {sha}")
        self._check_description(said)
        repository.statuses.append({"sha": sha} | said)
        shown = example(f"{REPOSITORY}/statuses/{{sha}}", "post", "201")
        kept = {key: said[key] for key in ("state", "context", "description") if key in said}
        return web.json_response(shown | kept, status=201)

    async def _deployments(self, request: web.Request) -> web.Response:
        wanted = request.query
        found = [
            self._deployment(one)
            for one in reversed(self._repository(request).deployments.values())
            if wanted.get("sha", one.sha) == one.sha
            and wanted.get("environment", one.environment) == one.environment
        ]
        return page(request, found)

    async def _deploy(self, request: web.Request) -> web.Response:
        repository, said = self._repository(request), await request.json()
        sha = repository.branches.get(said["ref"], said["ref"])
        if sha not in repository.commits:
            raise web.HTTPUnprocessableEntity(text=f"No ref found for: {said['ref']}")
        if said.get("auto_merge", True) or said.get("required_contexts", ["all"]):
            raise web.HTTPConflict(text="Conflict merging main, or commit status checks failed")
        self._check_description(said)
        made = FakeDeployment(
            next(self._numbers), sha, said["ref"], said["environment"], said.get("description", "")
        )
        made.transient = said.get("transient_environment", False)
        made.production = said.get("production_environment", made.environment == "production")
        repository.deployments[made.id] = made
        return web.json_response(self._deployment(made), status=201)

    def _deployment(self, one: FakeDeployment) -> dict[str, Any]:
        shown: dict[str, Any] = example(f"{REPOSITORY}/deployments")[0]
        return shown | {
            "id": one.id, "sha": one.sha, "ref": one.ref, "environment": one.environment,
            "description": one.description, "transient_environment": one.transient,
            "production_environment": one.production,
        }  # fmt: skip

    async def _deployment_status(self, request: web.Request) -> web.Response:
        repository, said = self._repository(request), await request.json()
        made = repository.deployments.get(int(request.match_info["id"]))
        if made is None:
            raise web.HTTPNotFound(text="Not Found")
        self._check_description(said)
        made.states.append(said)
        if said["state"] == "success" and said.get("auto_inactive", True):
            for other in repository.deployments.values():
                self._overtaken(other, made)
        path = f"{REPOSITORY}/deployments/{{deployment_id}}/statuses"
        shown = example(path, "post", "201") | {"state": said["state"]}
        return web.json_response(shown, status=201)

    @staticmethod
    def _overtaken(other: FakeDeployment, made: FakeDeployment) -> None:
        """End what stood in the same environment: not what is transient or of production."""
        earlier = other.id < made.id and other.environment == made.environment
        stood = bool(other.states) and other.states[-1]["state"] == "success"
        if earlier and stood and not other.transient and not other.production:
            other.states.append({"state": "inactive"})

    @staticmethod
    def _check_description(said: dict[str, Any]) -> None:
        if len(said.get("description") or "") > 140:
            raise web.HTTPUnprocessableEntity(text="description is too long (140 characters)")

    # changes

    async def _compare(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        base, _, head = request.match_info["range"].partition("...")
        if not {base, head} <= repository.commits.keys():
            raise web.HTTPNotFound(text="Not Found")
        ours, theirs = repository.ancestors(base), repository.ancestors(head)
        status = {
            (True, True): "identical", (True, False): "ahead",
            (False, True): "behind", (False, False): "diverged",
        }[base in theirs, head in ours]  # fmt: skip
        # Three-dot: it omits what a rollback or another branch reverted.
        start = base if base in theirs else next((one for one in theirs if one in ours), None)
        if start is None:
            raise web.HTTPNotFound(text="No common ancestor between " + f"{base} and {head}.")
        shown = example(f"{REPOSITORY}/compare/{{basehead}}") | {"status": status}
        form = shown["files"][0]
        new = [told_of(repository.commits[one], self.linked) for one in sorted(theirs - ours)]
        size, at = int(request.query.get("per_page", 100)), int(request.query.get("page", 1))
        shown |= {"total_commits": len(new), "commits": new[(at - 1) * size : at * size]}
        shown["files"] = [
            form | {"filename": path, "status": kind}
            for path, kind in repository.differing(start, head)
        ][:LISTED]
        more = at * size < len(new)
        link = f'<{request.url.update_query(page=at + 1)}>; rel="next"'
        return web.json_response(shown, headers={"Link": link} if more else {})

    async def _tree(self, request: web.Request) -> web.Response:
        commit = self._repository(request).commits.get(request.match_info["sha"])
        if commit is None:
            raise web.HTTPNotFound(text="Not Found")
        entries = [
            {"path": path, "mode": mode, "type": "commit" if mode == "160000" else "blob",
             "sha": sha, "url": f"{self.url}/blobs/{sha}"}
            for path, (mode, sha) in commit.files.items()
        ]  # fmt: skip
        answer = {"sha": commit.sha, "url": str(request.url), "tree": entries, "truncated": False}
        return web.json_response(answer)

    async def _branch(self, request: web.Request) -> web.Response:
        repository, name = self._repository(request), unquote(request.match_info["branch"])
        if name not in repository.branches:
            raise web.HTTPNotFound(text="Branch not found")
        sha = repository.branches[name]
        etag = f'W/"{sha}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        shown = example(f"{REPOSITORY}/branches/{{branch}}") | {"name": name}
        shown["commit"] |= {"sha": sha}
        names = repository.checks.required.get(name)
        shown |= protection_of(names)
        return web.json_response(shown, headers={"ETag": etag})

    async def _make_ref(self, request: web.Request) -> web.Response:
        repository, said = self._written(request), await request.json()
        name = said["ref"].removeprefix("refs/heads/")
        if name in repository.branches:
            raise web.HTTPUnprocessableEntity(text="Reference already exists")
        return self._put(repository, name, said["sha"], 201)

    async def _move_ref(self, request: web.Request) -> web.Response:
        repository, said = self._written(request), await request.json()
        name = unquote(request.match_info["ref"]).removeprefix("heads/")
        if name not in repository.branches:
            raise web.HTTPUnprocessableEntity(text="Reference does not exist")
        ahead = said["sha"] in repository.commits and repository.branches[
            name
        ] in repository.ancestors(said["sha"])
        if not ahead and not said.get("force"):
            raise web.HTTPUnprocessableEntity(text="Update is not a fast forward")
        return self._put(repository, name, said["sha"], 200)

    async def _drop_ref(self, request: web.Request) -> web.Response:
        repository = self._written(request)
        name = unquote(request.match_info["ref"]).removeprefix("heads/")
        if name not in repository.branches:
            raise web.HTTPUnprocessableEntity(text="Reference does not exist")
        repository.drop_branch(name)
        return web.Response(status=204)

    def _put(self, repository: FakeRepository, name: str, sha: str, status: int) -> web.Response:
        if sha not in repository.commits:
            raise web.HTTPUnprocessableEntity(text="Object does not exist")
        repository.put_branch(name, sha)
        shown = example(f"{REPOSITORY}/git/refs", "post", "201") | {"ref": f"refs/heads/{name}"}
        shown["object"] |= {"sha": sha}
        return web.json_response(shown, status=status)

    def _written(self, request: web.Request) -> FakeRepository:
        """The repository, if the credential may write its contents."""
        found = self._repository(request)
        given = request.headers["Authorization"].partition(" ")[2]
        granted = self.granted.get(given, {"contents": "write"})
        if granted.get("contents") != "write":
            raise web.HTTPForbidden(text="Resource not accessible by integration")
        if not self.may_write:
            raise web.HTTPNotFound(text="Not Found")
        return found

    async def _tags(self, request: web.Request) -> web.Response:
        form = example(f"{REPOSITORY}/tags")[0]
        tags = sorted(self._repository(request).tags.items(), reverse=True)
        shown = [
            form | {"name": name, "commit": form["commit"] | {"sha": sha}} for name, sha in tags
        ]
        return page(request, shown)

    # webhooks

    async def _org(self, request: web.Request) -> web.Response:
        name = request.match_info["org"]
        if name not in self.owners:
            raise web.HTTPNotFound(text="Not Found")
        return web.json_response(example("/orgs/{org}") | {"id": self.owners[name], "login": name})

    async def _hooks(self, request: web.Request) -> web.Response:
        hooks = self.hooks_under(request)
        if hooks and not self.sees_hooks:
            raise web.HTTPNotFound(text="Not Found")
        return page(request, [self.shown_hook(request, one) for one in hooks])

    def owner_in(self, request: web.Request) -> str | None:
        return request.match_info.get("org")

    def repository_in(self, request: web.Request) -> FakeRepository:
        return self._repository(request)

    def set_hook(self, hook: FakeHook, said: dict[str, Any]) -> None:
        hook.active = said.get("active", hook.active)
        self._configure(hook, said.get("config", {}))
        events = said.get("events", NEEDED if hook.events is None else hook.events)
        hook.events = tuple(dict.fromkeys([*events, *said.get("add_events", ())]))

    @staticmethod
    def _configure(hook: FakeHook, config: dict[str, Any]) -> None:
        hook.url = config.get("url", hook.url)
        hook.secret = config.get("secret", hook.secret)
        hook.content_type = config.get("content_type", "form")
        hook.checks_tls = str(config.get("insecure_ssl", "0")) == "0"

    def shown_hook(self, request: web.Request, hook: FakeHook) -> dict[str, Any]:
        org = "org" in request.match_info
        form = example("/orgs/{org}/hooks" if org else f"{REPOSITORY}/hooks")[0]
        shown: dict[str, Any] = form | {
            "id": hook.id,
            "active": hook.active,
            "events": list(NEEDED if hook.events is None else hook.events),
            "config": self._config_of(hook),
        }
        if not org:
            last = hook.sent[0] if hook.sent else None
            good = last is not None and 200 <= last.status < 300
            shown["last_response"] = {
                "code": last.status or None if last else None,
                "status": "active" if good else "misconfigured" if last else "unused",
                "message": "OK" if good else "Invalid HTTP Response" if last else None,
            }
        return shown

    @staticmethod
    def _config_of(hook: FakeHook) -> dict[str, Any]:
        config = {
            "url": hook.url,
            "content_type": hook.content_type,
            "insecure_ssl": "0" if hook.checks_tls else "1",
        }
        return config | ({"secret": "********"} if hook.secret else {})

    async def hook_was_made(self, hook: FakeHook) -> None:
        await self.ping(hook)

    async def ping(self, hook: FakeHook) -> FakeSending:
        """Send the ping of a webhook."""
        config = {"hook_id": hook.id, "hook": {"id": hook.id, "type": "Repository"}}
        return await self.send(hook, "ping", {"zen": "Keep it logically awesome."} | config)

    async def _ping(self, request: web.Request) -> web.Response:
        await self.ping(self.hook_under(request))
        return web.Response(status=204)

    async def _hook_config(self, request: web.Request) -> web.Response:
        (hook,) = self.app_hooks
        return web.json_response(example("/app/hook/config") | self._config_of(hook))

    async def _change_app_hook(self, request: web.Request) -> web.Response:
        (hook,) = self.app_hooks
        said = await request.json()
        self._configure(hook, {"content_type": hook.content_type} | said)
        return await self._hook_config(request)

    async def _sent(self, request: web.Request) -> web.Response:
        """Return them newest first, by cursor: the first id of the next page."""
        sent, size = self._hook(request).sent, int(request.query.get("per_page", "30"))
        cursor = request.query.get("cursor")
        start = next((i for i, one in enumerate(sent) if str(one.id) == cursor), 0)
        form = example("/app/hook/deliveries")[0]
        answer = web.json_response(
            [form | self._delivery(one) for one in sent[start : start + size]]
        )
        if start + size < len(sent):
            following = request.url.update_query(cursor=str(sent[start + size].id))
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    async def _one_sent(self, request: web.Request) -> web.Response:
        sending = self._sending(request)
        shown = example("/app/hook/deliveries/{delivery_id}") | self._delivery(sending)
        shown["request"] = {"headers": sending.headers, "payload": sending.payload}
        return web.json_response(shown)

    async def _send_again(self, request: web.Request) -> web.Response:
        await self.send_again(self._hook(request), self._sending(request))
        return web.json_response({}, status=202)

    @staticmethod
    def _delivery(one: FakeSending) -> dict[str, Any]:
        ok = 200 <= one.status < 300
        return {
            "id": one.id, "guid": one.delivery, "event": one.event, "redelivery": one.again,
            "delivered_at": stamp(one.at), "status_code": one.status,
            "status": "OK" if ok else "failed to connect to host" if not one.status else "Invalid",
        }  # fmt: skip

    # finding things

    def _hook(self, request: web.Request) -> FakeHook:
        if "hook" not in request.match_info:
            return self.app_hooks[0]
        return self.hook_under(request)

    def _sending(self, request: web.Request) -> FakeSending:
        for one in self._hook(request).sent:
            if str(one.id) == request.match_info["id"]:
                return one
        raise web.HTTPNotFound(text="Not Found")

    def _repository(self, request: web.Request) -> FakeRepository:
        name = f"{request.match_info['owner']}/{request.match_info['repo']}"
        if (found := self.repositories.get(name.lower())) is None:
            raise web.HTTPNotFound(text="Not Found")
        found.follow()
        return found

    def pull_in(self, request: web.Request) -> FakePull:
        found = self._repository(request).pulls.get(int(request.match_info["number"]))
        if found is None:
            raise web.HTTPNotFound(text="Not Found")
        return found

    def _author(self, request: web.Request) -> str:
        given = request.headers["Authorization"].partition(" ")[2]
        return self.login if given in self.tokens else f"{self.slug}[bot]"
