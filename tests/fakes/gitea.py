"""A Gitea of our own: what the bridge asks and writes, remembered; see `fakes.host`.

Answers have the fields that the description in `tests/fixtures/contracts` knows, and a test holds
them against it. Errors and limits are as Gitea's own source has them (`routers/api/v1`).
"""

import hashlib
import hmac
import time
import uuid
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.gitea_pulls import LABEL, SYNC, GiteaPulls
from tests.fakes.host import FakeHook, FakeRepository, FakeSending
from tests.fakes.pulls import FakeComment, FakePull

ME, OTHER = 7, 8
ADA = {"name": "Ada", "email": "ada@example.com"}
WEB = "https://gitea.example.com"
ORG = "/api/v1/orgs/{org}"
MOST = 50
"""`MAX_RESPONSE_ITEMS`."""


class FakeGitea(GiteaPulls):
    """With a token of the user `login`."""

    name = "gitea"
    place = "repos"
    token = "9f0c4e1a2b3d4c5e6f708192a3b4c5d6e7f80912"
    login = "bridge"
    compares = True
    """False: as before 1.22, which has no comparison."""
    tree_page = 1000
    events: tuple[str, ...] = ("push", "delete", "pull_request", LABEL, SYNC, "status")
    """Those that it knows and its webhooks send; before 1.24 there was no `status`."""
    changes_secrets = True
    """False: as an older one, whose API keeps the secret of a webhook."""

    def __init__(self, web_url: str = WEB) -> None:
        super().__init__()
        self.web_url = web_url

    @property
    def settings(self) -> dict[str, str]:
        return {
            "BRIDGE_GITEA_URL": self.url,
            "BRIDGE_GITEA_WEB_URL": self.web_url,
            "BRIDGE_GITEA_TOKEN": self.token,
        }

    def prepared(self, hook: FakeHook, event: str, payload: dict[str, Any]) -> FakeSending:
        id_ = str(uuid.uuid4())
        sending = FakeSending(next(self._numbers), id_, event, {}, payload, time.time())
        proof = hmac.new(hook.secret.encode(), self.body_of(sending), hashlib.sha256).hexdigest()
        sending.headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={proof}",
            "X-GitHub-Delivery": id_,
            "X-GitHub-Event": event,
            **{
                f"X-{product}-{what}": value
                for product in ("Gitea", "Gogs")
                for what, value in (("Delivery", id_), ("Event", event), ("Signature", proof))
            },
        }
        return sending

    def push_of(self, repository: FakeRepository, branch: str, before: str) -> dict[str, Any]:
        """What a push's webhook says: at most five of its commits, the newest first."""
        repository.follow()
        after = repository.branches[branch]
        known = repository.ancestors(before) if before.strip("0") else set()
        new, at = list[str](), after
        while at not in known:
            new.append(at)
            parents = repository.commits[at].parents
            if not parents:
                break
            at = parents[0]
        url = f"{self.web_url}/{repository.name}"
        listed = [self._listed(repository, sha) for sha in new[:5]]
        return {
            "ref": f"refs/heads/{branch}",
            "before": before,
            "after": after,
            "compare_url": f"{url}/compare/{before}...{after}",
            "commits": listed,
            "total_commits": len(new),
            "head_commit": self._listed(repository, after),
            "repository": self.shown_repository(repository),
            "pusher": {"id": ME, "login": "ada", "username": "ada"},
            "sender": {"id": ME, "login": "ada", "username": "ada"},
        }

    def _listed(self, repository: FakeRepository, sha: str) -> dict[str, Any]:
        kinds: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
        for path, kind in self._files(repository, sha):
            kinds[kind].append(path)
        author = ADA | {"username": "ada"}
        return {
            "id": sha,
            "message": repository.commits[sha].message,
            "url": f"{self.web_url}/{repository.name}/commit/{sha}",
            "author": author,
            "committer": author,
            "timestamp": "2026-11-27T12:00:00Z",
            **kinds,
        }

    @staticmethod
    def _files(repository: FakeRepository, sha: str) -> list[tuple[str, str]]:
        """The files of a commit; of a merge, as `git log -c` has it, those unlike every parent."""
        parents = repository.commits[sha].parents
        if not parents:
            return [(path, "added") for path in sorted(repository.commits[sha].files)]
        every = [dict(repository.differing(parent, sha)) for parent in parents]
        return [(path, kind) for path, kind in every[0].items() if all(path in x for x in every)]

    def too_many(self) -> web.Response:
        said = {"message": "Too many requests"}
        return web.json_response(said, status=429, headers={"Retry-After": "1"})

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"token {self.token}":
            return None
        return web.json_response({"message": "invalid username, password or token"}, status=401)

    def routes(self) -> list[web.RouteDef]:
        r = "/api/v1/repos/{owner}/{repo}"
        return [
            web.get("/api/v1/user", self._user),
            web.get(r, self._seen),
            web.get(f"{r}/git/commits/{{sha}}", self._commit),
            web.get(f"{r}/git/trees/{{sha}}", self._tree),
            web.get(f"{r}/compare/{{range}}", self._compare),
            *self.pull_routes(),
            web.get(f"{r}/issues/{{number}}/comments", self._comments),
            web.post(f"{r}/issues/{{number}}/comments", self._comment),
            web.patch(f"{r}/issues/comments/{{id}}", self._edit),
            web.post(f"{r}/statuses/{{sha}}", self._status),
            web.get(f"{r}/commits/{{sha}}/statuses", self._statuses),
            web.get(f"{r}/branches/{{branch}}", self._branch),
            web.post(f"{r}/branches", self._make_branch),
            web.delete(f"{r}/branches/{{branch}}", self._drop_branch),
            web.get(f"{r}/tags", self._tags),
            web.get(ORG, self._org),
            *(
                route
                for place in (r, ORG)
                for route in (
                    web.get(f"{place}/hooks", self._hooks),
                    web.post(f"{place}/hooks", self.create_hook),
                    web.patch(f"{place}/hooks/{{hook}}", self.change_hook),
                    web.delete(f"{place}/hooks/{{hook}}", self.delete_hook),
                )
            ),
            web.post(f"{r}/hooks/{{hook}}/tests", self._test),
        ]

    # what people see

    async def _user(self, request: web.Request) -> web.Response:
        return web.json_response({"id": ME, "login": self.login})

    async def _seen(self, request: web.Request) -> web.Response:
        permissions = {"admin": self.sees_roles, "push": self.may_write, "pull": True}
        shown = self.shown_repository(self._repository(request))
        return web.json_response(shown | {"permissions": permissions})

    def shown_repository(self, repository: FakeRepository) -> dict[str, Any]:
        url = f"{self.web_url}/{repository.name}"
        host = self.web_url.partition("://")[2].partition(":")[0]
        return {
            "id": repository.id,
            "name": repository.name.rpartition("/")[2],
            "full_name": repository.name,
            "html_url": url,
            "clone_url": f"{url}.git",
            "ssh_url": f"git@{host}:{repository.name}.git",
        }

    async def _comments(self, request: web.Request) -> web.Response:
        """All at once, whatever page is asked for."""
        return web.json_response([self._said(one) for one in self.pull_in(request).comments])

    async def _comment(self, request: web.Request) -> web.Response:
        thread, body = self.pull_in(request), (await request.json())["body"]
        made = FakeComment(next(self._numbers), self.login, body, [body])
        thread.comments.append(made)
        return web.json_response(self._said(made), status=201)

    async def _edit(self, request: web.Request) -> web.Response:
        wanted, body = int(request.match_info["id"]), (await request.json())["body"]
        for pull in self._repository(request).pulls.values():
            for comment in pull.comments:
                if comment.id == wanted:
                    comment.body = body
                    comment.history.append(body)
                    return web.json_response(self._said(comment))
        raise web.HTTPNotFound(text="The target couldn't be found.")

    def _said(self, comment: FakeComment) -> dict[str, Any]:
        user = {"id": ME if comment.author == self.login else OTHER, "login": comment.author}
        return {"id": comment.id, "body": comment.body, "user": user}

    async def _status(self, request: web.Request) -> web.Response:
        repository, said = self._repository(request), await request.json()
        sha = request.match_info["sha"]
        self._known(repository, sha)
        if said["state"] not in ("pending", "success", "error", "failure", "warning"):
            raise web.HTTPUnprocessableEntity(text="invalid state")
        repository.statuses.append({"sha": sha} | said)
        shown = {"id": len(repository.statuses), "status": said["state"]}
        return web.json_response(shown | {"context": said["context"]}, status=201)

    async def _statuses(self, request: web.Request) -> web.Response:
        """Return all that were ever set, the newest first."""
        repository, sha = self._repository(request), request.match_info["sha"]
        found = [
            {"id": number, "context": one["context"], "status": one["state"]}
            for number, one in enumerate(repository.statuses, 1)
            if one["sha"] == sha
        ]
        answer = self._page(request, found[::-1][: self.lists_at_most])
        answer.headers["X-Total-Count"] = str(len(found))
        return answer

    # what has changed

    async def _commit(self, request: web.Request) -> web.Response:
        repository, sha = self._repository(request), request.match_info["sha"]
        self._known(repository, sha)
        return web.json_response(self._told(repository, sha))

    def _told(self, repository: FakeRepository, sha: str) -> dict[str, Any]:
        commit = repository.commits[sha]
        return {
            "sha": sha,
            "html_url": f"{self.web_url}/{repository.name}/commit/{sha}",
            "commit": {
                "message": commit.message,
                "author": ADA | {"email": commit.author},
                "committer": ADA | {"email": commit.committer or commit.author},
            },
            **self._linked(author=commit.author, committer=commit.committer or commit.author),
            "parents": [{"sha": parent} for parent in commit.parents],
        }

    @staticmethod
    def _linked(**emails: str) -> dict[str, Any]:
        """The accounts of addresses; Gitea says `null` of others, which its description lacks."""
        account = {"id": ME, "login": "ada"}
        return {role: account for role, email in emails.items() if email == ADA["email"]}

    async def _compare(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        base, _, head = request.match_info["range"].partition("...")
        if not self.compares or not {base, head} <= repository.commits.keys():
            raise web.HTTPNotFound(text="The target couldn't be found.")
        new = repository.ancestors(head) - repository.ancestors(base)
        commits = [
            self._told(repository, sha)
            | {
                "files": [
                    {"filename": path, "status": kind}
                    for path, kind in self._files(repository, sha)
                ]
            }
            for sha in sorted(new)
        ]
        return web.json_response({"total_commits": len(commits), "commits": commits})

    async def _tree(self, request: web.Request) -> web.Response:
        repository, sha = self._repository(request), request.match_info["sha"]
        if sha not in repository.commits:
            raise web.HTTPBadRequest(text=f"sha not found: {sha}")
        assert request.query["recursive"] == "true"
        entries = [
            {"path": path, "mode": mode, "type": "blob", "sha": object_}
            for path, (mode, object_) in sorted(repository.commits[sha].files.items())
        ]
        number = int(request.query.get("page", "1"))
        shown = entries[(number - 1) * self.tree_page : number * self.tree_page]
        more = number * self.tree_page < len(entries)
        answer = {"sha": sha, "tree": shown, "truncated": more, "page": number}
        return web.json_response(answer | {"total_count": len(entries)})

    async def _branch(self, request: web.Request) -> web.Response:
        repository, name = self._repository(request), unquote(request.match_info["branch"])
        if name not in repository.branches:
            raise web.HTTPNotFound(text="The target couldn't be found.")
        return web.json_response(self._shown_branch(repository, name))

    @staticmethod
    def _shown_branch(repository: FakeRepository, name: str) -> dict[str, Any]:
        commit = {"id": repository.branches[name], "message": "a commit"}
        names = repository.checks.required.get(name)
        shown = {"name": name, "commit": commit, "protected": names is not None}
        told = {"enable_status_check": names is not None, "status_check_contexts": names or []}
        return shown | told

    async def _make_branch(self, request: web.Request) -> web.Response:
        repository, said = self._repository(request), await request.json()
        self._may_write()
        name, sha = said["new_branch_name"], said["old_ref_name"]
        if name in repository.branches:
            raise web.HTTPConflict(text="The branch already exists.")
        if sha not in repository.commits:
            raise web.HTTPNotFound(text="The old branch does not exist")
        repository.put_branch(name, sha)
        return web.json_response(self._shown_branch(repository, name), status=201)

    async def _drop_branch(self, request: web.Request) -> web.Response:
        repository, name = self._repository(request), unquote(request.match_info["branch"])
        self._may_write()
        if name not in repository.branches:
            raise web.HTTPNotFound(text="The target couldn't be found.")
        repository.drop_branch(name)
        return web.Response(status=204)

    def _may_write(self) -> None:
        if not self.may_write:
            raise web.HTTPForbidden(text="user should have a permission to write to a branch")

    async def _tags(self, request: web.Request) -> web.Response:
        tags = reversed(self._repository(request).tags.items())
        shown = [{"name": name, "id": sha, "commit": {"sha": sha}} for name, sha in tags]
        return self._page(request, shown)

    async def _hooks(self, request: web.Request) -> web.Response:
        shown = [self.shown_hook(request, one) for one in self.hooks_under(request)]
        return self._page(request, shown)

    async def _org(self, request: web.Request) -> web.Response:
        name = request.match_info["org"]
        if name not in self.owners:
            raise web.HTTPNotFound(text="The target couldn't be found.")
        shown = {"id": self.owners[name], "name": name, "username": name}
        return web.json_response(shown)

    def owner_in(self, request: web.Request) -> str | None:
        return request.match_info.get("org")

    def repository_in(self, request: web.Request) -> FakeRepository:
        return self._repository(request)

    def set_hook(self, hook: FakeHook, said: dict[str, Any]) -> None:
        config = said.get("config", {})
        hook.url = config.get("url", hook.url)
        hook.content_type = config.get("content_type", hook.content_type)
        if self.changes_secrets or not hook.secret:
            hook.secret = config.get("secret", hook.secret)
        hook.active = said.get("active", hook.active)
        asked = said.get("events") or ["push"]  # those that are not named are switched off
        if "pull_request" in asked:  # names all that have to do with pull requests
            asked = [*asked, LABEL, SYNC]
        named = ["pull_request" if one == "pull_request_only" else one for one in asked]
        hook.events = tuple(one for one in named if one in self.events)  # it ignores others

    def shown_hook(self, request: web.Request, hook: FakeHook) -> dict[str, Any]:
        return {
            "id": hook.id,
            "type": "gitea",
            "active": hook.active,
            "events": [*(self.events if hook.events is None else hook.events)],
            "config": {"url": hook.url, "content_type": hook.content_type},
        }

    async def _test(self, request: web.Request) -> web.Response:
        """Send the head of the default branch as a push of nothing, as Gitea does."""
        repository = self._repository(request)
        head = repository.branches["main"]
        payload = self.push_of(repository, "main", head)
        await self.send(self.hook_under(request), "push", payload)
        return web.Response(status=204)

    # finding things

    def paged(self, request: web.Request, everything: list[Any]) -> web.Response:
        return self._page(request, everything)

    @staticmethod
    def _page(request: web.Request, everything: list[Any]) -> web.Response:
        size = min(int(request.query.get("limit", "30")), MOST)
        number = int(request.query.get("page", "1"))
        answer = web.json_response(everything[(number - 1) * size : number * size])
        answer.headers["X-Total-Count"] = str(len(everything))
        return answer

    @staticmethod
    def _known(repository: FakeRepository, sha: str) -> None:
        if sha not in repository.commits:
            raise web.HTTPNotFound(text="The target couldn't be found.")

    def _repository(self, request: web.Request) -> FakeRepository:
        name = f"{request.match_info['owner']}/{request.match_info['repo']}"
        if (found := self.repositories.get(name.lower())) is None:
            raise web.HTTPNotFound(text="The target couldn't be found.")
        found.follow()
        return found

    def pull_in(self, request: web.Request) -> FakePull:
        found = self._repository(request).pulls.get(int(request.match_info["number"]))
        if found is None:
            raise web.HTTPNotFound(text="The target couldn't be found.")
        return found
