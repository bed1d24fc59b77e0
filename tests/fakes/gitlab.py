"""A fake GitLab that records what the bridge reads and writes; see `fakes.host`.

Answers have the fields that the bridge could use, as in GitLab's documentation; a test checks them
against the schemas of the contract in `tests/fixtures/contracts`.
"""

import hmac
import re
import time
import uuid
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.checks import FakePipeline
from tests.fakes.github_examples import LINKED
from tests.fakes.gitlab_graphql import answered
from tests.fakes.gitlab_merges import PROJECT, GitlabMerges
from tests.fakes.host import FakeDeployment, FakeHook, FakeRepository, FakeSending
from tests.fakes.identity import FakeIssuer
from tests.fakes.pages import page
from tests.fakes.pulls import FakeComment, FakeCommit, FakePull

ME, OTHER = 7, 8
GROUP = "/api/v4/groups/{group}"
NEEDED = ("push_events", "tag_push_events", "merge_requests_events", "pipeline_events")
RESENDS_A_MINUTE = 5


class FakeGitlab(GitlabMerges):
    """With a project token, whose bot is the user `ME`."""

    name = "gitlab"
    pages = re.compile("/.well-known/|/oauth/|/api/graphql$")
    place = "projects"
    token = "glpat-atokenofthetests"
    login = "project_4711_bot"
    scopes = ("api",)
    expires_at: str | None = None
    """The day on which the token expires."""
    tells_pipelines = True
    """False: as an older one, whose statuses do not say of which pipeline they are."""
    signs = True
    """False: as before 19.0, which ignores signing tokens."""
    links_authors = True
    """False: as before 17.10, whose GraphQL tells no commits."""
    tests_without_a_push = True
    """False: as before there were events of access tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.linked = dict(LINKED)
        """The accounts of addresses, as logins and numbers."""
        self.accounts = FakeIssuer("/oauth")
        """People who sign in elsewhere with GitLab."""
        self.accounts.claims = {"sub": "42", "preferred_username": "Ada"}

    @property
    def settings(self) -> dict[str, str]:
        return {
            "BRIDGE_GITLAB_URL": self.url,
            "BRIDGE_GITLAB_WEB_URL": self.web_url,
            "BRIDGE_GITLAB_TOKEN": self.token,
        }

    def prepared(self, hook: FakeHook, event: str, payload: dict[str, Any]) -> FakeSending:
        id_ = str(uuid.uuid4())
        headers = {
            "X-Gitlab-Event": event,
            "X-Gitlab-Token": hook.secret,
            "Idempotency-Key": id_,
            "X-Gitlab-Event-UUID": str(uuid.uuid4()),
            "X-Gitlab-Instance": self.url,
            "Content-Type": "application/json",
        }
        sending = FakeSending(next(self._numbers), id_, event, headers, payload, time.time())
        if hook.signing is not None:
            at = str(int(time.time()))
            signed = f"{id_}.{at}.".encode() + self.body_of(sending)
            digest = hmac.digest(b64decode(hook.signing.removeprefix("whsec_")), signed, "sha256")
            headers["webhook-id"], headers["webhook-timestamp"] = id_, at
            headers["webhook-signature"] = f"v1,{b64encode(digest).decode()}"
        return sending

    def too_many(self) -> web.Response:
        said = {"message": {"error": "This endpoint has been requested too many times."}}
        return web.json_response(said, status=429, headers={"Retry-After": "1"})

    def refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("PRIVATE-TOKEN") == self.token:
            return None
        if request.path.startswith(("/oauth/", "/.well-known/")):
            return None
        return web.json_response({"message": "401 Unauthorized"}, status=401)

    def routes(self) -> list[web.RouteDef]:
        notes = f"{PROJECT}/merge_requests/{{iid}}/notes"
        return [
            *self.accounts.routes(),
            web.post("/api/graphql", self._graphql),
            web.get("/api/v4/user", self._user),
            web.get("/api/v4/personal_access_tokens/self", self._token),
            web.get(f"{GROUP}/hooks/{{hook}}/events", self._group_events),
            web.get(PROJECT, self._seen),
            *self.merge_routes(),
            web.get(f"{PROJECT}/repository/commits/{{sha}}/statuses", self._statuses),
            web.get(f"{PROJECT}/pipelines", self._pipelines),
            web.get(f"{PROJECT}/repository/commits/{{sha}}", self._commit),
            web.get(f"{PROJECT}/repository/compare", self._compare),
            web.get(f"{PROJECT}/repository/branches/{{branch}}", self._branch),
            web.post(f"{PROJECT}/repository/branches", self._make_branch),
            web.delete(f"{PROJECT}/repository/branches/{{branch}}", self._drop_branch),
            web.get(f"{PROJECT}/repository/tags", self._tags),
            web.get(notes, self._notes),
            web.post(notes, self._note),
            web.put(f"{notes}/{{note}}", self._edit),
            web.post(f"{PROJECT}/statuses/{{sha}}", self._status),
            web.get(f"{PROJECT}/deployments", self._deployments),
            web.post(f"{PROJECT}/deployments", self._deploy),
            web.get(f"{PROJECT}/deployments/{{deployment}}", self._deployment),
            web.put(f"{PROJECT}/deployments/{{deployment}}", self._move),
            web.put(f"{PROJECT}/environments/{{environment}}", self._environment),
            web.post(f"{PROJECT}/environments/{{environment}}/stop", self._stop),
            web.get(GROUP, self._group),
            *(
                route
                for place in (PROJECT, GROUP)
                for route in (
                    web.get(f"{place}/hooks", self._hooks),
                    web.post(f"{place}/hooks", self.create_hook),
                    web.put(f"{place}/hooks/{{hook}}", self.change_hook),
                    web.delete(f"{place}/hooks/{{hook}}", self.delete_hook),
                    web.post(f"{place}/hooks/{{hook}}/test/{{trigger}}", self._test),
                )
            ),
            web.get(f"{PROJECT}/hooks/{{hook}}/events", self._events),
            web.post(f"{PROJECT}/hooks/{{hook}}/events/{{event}}/resend", self._resend),
        ]

    async def _user(self, request: web.Request) -> web.Response:
        return web.json_response({"id": ME, "username": self.login})

    async def _token(self, request: web.Request) -> web.Response:
        shown = {"id": 42, "name": "bridge", "revoked": False, "active": True, "user_id": ME}
        told = {"scopes": list(self.scopes), "expires_at": self.expires_at}
        return web.json_response(shown | told)

    # feedback

    async def _seen(self, request: web.Request) -> web.Response:
        found = self._project(request)
        url = f"{self.web_url}/{found.name}"
        shown = {"id": found.id, "path_with_namespace": found.name, "web_url": url}
        clone = f"{self.clones_from or self.url}/{found.name}.git"
        level = 40 if self.may_write else 20
        permissions = {"project_access": {"access_level": level}, "group_access": None}
        must = {"only_allow_merge_if_pipeline_succeeds": "" in found.checks.required}
        told = {"http_url_to_repo": clone, "permissions": permissions}
        return web.json_response(shown | told | must)

    async def _notes(self, request: web.Request) -> web.Response:
        notes = [self._shown(one) for one in self.pull_in(request).comments]
        if request.query.get("sort", "desc") == "desc":
            notes.reverse()
        return self._page(request, notes)

    async def _note(self, request: web.Request) -> web.Response:
        thread, body = self.pull_in(request), (await request.json())["body"]
        made = FakeComment(next(self._numbers), self.login, body, [body])
        thread.comments.append(made)
        return web.json_response(self._shown(made), status=201)

    async def _edit(self, request: web.Request) -> web.Response:
        body = (await request.json())["body"]
        for comment in self.pull_in(request).comments:
            if str(comment.id) == request.match_info["note"]:
                comment.body = body
                comment.history.append(body)
                return web.json_response(self._shown(comment))
        raise web.HTTPNotFound(text="404 Not found")

    def _shown(self, comment: FakeComment) -> dict[str, Any]:
        author = {"id": ME if comment.author == self.login else OTHER, "username": comment.author}
        return {"id": comment.id, "body": comment.body, "author": author, "system": False}

    async def _status(self, request: web.Request) -> web.Response:
        project, said = self._project(request), await request.json()
        sha = request.match_info["sha"]
        self._known(project, sha)
        same = [one for one in project.statuses if (one["sha"], one["name"]) == (sha, said["name"])]
        # A pending or running status is updated; otherwise a new one is created.
        if same and same[-1]["state"] == said["state"] and said["state"] in ("pending", "running"):
            event = {"pending": "enqueue", "running": "run"}[said["state"]]
            why = f"Cannot transition status via :{event} from :{said['state']}"
            return web.json_response({"message": {"state": [why]}}, status=400)
        if len(said.get("description") or "") > 255:
            raise web.HTTPBadRequest(text="description is too long (maximum is 255 characters)")
        project.statuses.append({"sha": sha} | said)
        shown = {"id": len(project.statuses), "sha": sha, "name": said["name"]}
        return web.json_response(shown | {"status": said["state"]}, status=201)

    async def _statuses(self, request: web.Request) -> web.Response:
        """Return the jobs of all pipelines of a commit, and the statuses that others have set."""
        project, sha = self._project(request), request.match_info["sha"]
        self._known(project, sha)
        found = [
            self._job(sha, one.id, one.name, one.state, one.pipeline, one.may_fail)
            for one in project.checks.runs
            if one.sha == sha
        ]
        found += [
            self._job(sha, 10_000 + n, one["name"], one["state"], self._holder(project, one).id)
            for n, one in enumerate(project.statuses)
            if one["sha"] == sha
        ]
        return self._checks(request, found)

    def _job(
        self, sha: str, id_: int, name: str, state: str, pipeline: int, may_fail: bool = False
    ) -> dict[str, Any]:
        shown = {"id": id_, "sha": sha, "ref": "main", "status": state, "name": name}
        whose = {"pipeline_id": pipeline} if self.tells_pipelines else {}
        return shown | {"allow_failure": may_fail, "description": ""} | whose

    def _holder(self, project: FakeRepository, status: dict[str, Any]) -> FakePipeline:
        """Return the pipeline that a status is a part of: the newest, or an external one."""
        own = [one for one in project.checks.pipelines if one.sha == status["sha"]]
        if not own:
            project.checks.pipeline(status["sha"], "running", source="external")
            return project.checks.pipelines[-1]
        return own[-1]

    async def _pipelines(self, request: web.Request) -> web.Response:
        project, sha = self._project(request), request.query["sha"]
        return self._checks(
            request,
            [
                {"id": one.id, "iid": one.id, "project_id": project.id, "sha": sha}
                | {"ref": one.ref, "source": one.source, "status": one.status}
                | {"web_url": f"https://gitlab.example.com/{project.name}/-/pipelines/{one.id}"}
                for one in reversed(project.checks.pipelines)
                if one.sha == sha
            ],
        )

    def _checks(self, request: web.Request, found: list[dict[str, Any]]) -> web.Response:
        answer = self._page(request, found[: self.lists_at_most])
        answer.headers["X-Total"] = str(len(found))
        return answer

    async def _deployments(self, request: web.Request) -> web.Response:
        project, wanted = self._project(request), request.query.get("environment")
        found = [
            self._stands(project, one)
            for one in project.deployments.values()
            if wanted in (None, one.environment)
        ]
        if request.query.get("sort") == "desc":
            found.reverse()
        return self._page(request, found)

    async def _deploy(self, request: web.Request) -> web.Response:
        project, said = self._project(request), await request.json()
        if said["sha"] not in project.commits:
            raise web.HTTPBadRequest(text="The commit does not exist")
        made = FakeDeployment(
            next(self._numbers),
            said["sha"],
            said["ref"],
            said["environment"],
            states=[{"state": said["status"], "tag": said["tag"]}],
        )
        project.deployments[made.id] = made
        tier = "development" if made.environment.startswith("review/") else "production"
        fresh = {"id": next(self._numbers), "name": made.environment, "tier": tier}
        fresh["state"] = "available"
        project.environments.setdefault(made.environment, fresh)
        return web.json_response(self._stands(project, made), status=201)

    async def _deployment(self, request: web.Request) -> web.Response:
        project, one = self._of(request)
        return web.json_response(self._stands(project, one))

    async def _move(self, request: web.Request) -> web.Response:
        project, one = self._of(request)
        status = (await request.json())["status"]
        if one.states[-1]["state"] == status:
            event = {"running": "run", "success": "succeed", "failed": "drop"}.get(status, "cancel")
            why = f"Cannot transition status via :{event} from :{status}"
            return web.json_response({"message": {"status": [why]}}, status=400)
        one.states.append({"state": status})
        if status == "success":
            project.environments[one.environment]["state"] = "available"
        return web.json_response(self._stands(project, one))

    @staticmethod
    def _stands(project: FakeRepository, one: FakeDeployment) -> dict[str, Any]:
        return {
            "id": one.id,
            "iid": one.id,
            "sha": one.sha,
            "ref": one.ref,
            "status": one.states[-1]["state"],
            "environment": project.environments.get(one.environment, {}),
        }

    async def _environment(self, request: web.Request) -> web.Response:
        one = self._environment_in(request)
        one.update(await request.json())
        return web.json_response(one)

    async def _stop(self, request: web.Request) -> web.Response:
        one = self._environment_in(request)
        one["state"] = "stopped"
        return web.json_response(one)

    def _environment_in(self, request: web.Request) -> dict[str, Any]:
        for one in self._project(request).environments.values():
            if str(one["id"]) == request.match_info["environment"]:
                return one
        raise web.HTTPNotFound(text="404 Environment Not Found")

    # changes

    async def _graphql(self, request: web.Request) -> web.Response:
        said, old = await request.json(), not self.links_authors
        return web.json_response(answered(said, self._by_path, self.linked, old=old))

    def _by_path(self, path: str) -> FakeRepository | None:
        return self.repositories.get(path.lower())

    async def _commit(self, request: web.Request) -> web.Response:
        project, sha = self._project(request), request.match_info["sha"]
        self._known(project, sha)
        return web.json_response(self._told(project.commits[sha]))

    @staticmethod
    def _told(commit: FakeCommit) -> dict[str, Any]:
        return {
            "id": commit.sha,
            "message": commit.message,
            "author_name": "Ada",
            "author_email": commit.author,
            "committer_email": commit.committer or commit.author,
            "parent_ids": [*commit.parents],
        }

    async def _compare(self, request: web.Request) -> web.Response:
        project, asked = self._project(request), request.query
        old, new = asked["from"], asked["to"]
        if not {old, new} <= project.commits.keys():
            raise web.HTTPNotFound(text="404 Ref Not Found")
        if asked.get("straight") != "true":
            theirs = project.ancestors(new)
            old = old if old in theirs else next(o for o in theirs if o in project.ancestors(old))
        files = project.differing(old, new)
        commits = sorted(project.ancestors(new) - project.ancestors(asked["from"]))
        told = [self._told(project.commits[one]) for one in commits]
        cut = self.diffs_at_most is not None and len(files) > self.diffs_at_most
        diffs = [
            {
                "old_path": path,
                "new_path": path,
                "new_file": kind == "added",
                "deleted_file": kind == "removed",
                "renamed_file": False,
                "diff": "",
                "collapsed": True,
            }
            for path, kind in files[: self.diffs_at_most]
        ]
        answer = {
            "commits": told,
            "diffs": diffs,
            "compare_timeout": cut,
            "compare_same_ref": False,
        }
        return web.json_response(answer)

    async def _branch(self, request: web.Request) -> web.Response:
        project, name = self._project(request), unquote(request.match_info["branch"])
        if name not in project.branches:
            raise web.HTTPNotFound(text="404 Branch Not Found")
        return web.json_response(self._shown_branch(project, name))

    def _shown_branch(self, project: FakeRepository, name: str) -> dict[str, Any]:
        shown = {"name": name, "merged": False, "protected": False}
        return shown | {"commit": self._named(project.branches[name])}

    async def _make_branch(self, request: web.Request) -> web.Response:
        project, said = self._project(request), await request.json()
        self._may_write()
        if said["branch"] in project.branches:
            raise web.HTTPBadRequest(text="Branch already exists")
        if said["ref"] not in project.commits:
            raise web.HTTPBadRequest(text=f"Invalid reference name: {said['ref']}")
        project.put_branch(said["branch"], said["ref"])
        return web.json_response(self._shown_branch(project, said["branch"]), status=201)

    async def _drop_branch(self, request: web.Request) -> web.Response:
        project, name = self._project(request), unquote(request.match_info["branch"])
        self._may_write()
        if name not in project.branches:
            raise web.HTTPNotFound(text="404 Branch Not Found")
        project.drop_branch(name)
        return web.Response(status=204)

    def _may_write(self) -> None:
        if not self.may_write:
            raise web.HTTPForbidden(text="403 Forbidden")

    async def _tags(self, request: web.Request) -> web.Response:
        tags = reversed(self._project(request).tags.items())
        shown = [{"name": name, "target": sha, "commit": self._named(sha)} for name, sha in tags]
        return self._page(request, shown)

    @staticmethod
    def _named(sha: str) -> dict[str, Any]:
        return {"id": sha, "short_id": sha[:8], "title": "a commit", "message": "a commit"}

    # webhooks

    async def _hooks(self, request: web.Request) -> web.Response:
        shown = [self.shown_hook(request, one) for one in self.hooks_under(request)]
        return self._page(request, shown)

    async def _group(self, request: web.Request) -> web.Response:
        name = self.owner_in(request)
        if name is None or name not in self.owners:
            raise web.HTTPNotFound(text="404 Group Not Found")
        return web.json_response({"id": self.owners[name], "full_path": name})

    def owner_in(self, request: web.Request) -> str | None:
        if (wanted := request.match_info.get("group")) is None:
            return None
        wanted = unquote(wanted)
        named = {str(id_): name for name, id_ in self.owners.items()}
        return named.get(wanted, wanted)

    def repository_in(self, request: web.Request) -> FakeRepository:
        return self._project(request)

    def set_hook(self, hook: FakeHook, said: dict[str, Any]) -> None:
        hook.url = said["url"]
        hook.secret = said.get("token", hook.secret)
        if self.signs:
            hook.signing = said.get("signing_token", hook.signing)
        hook.checks_tls = said.get("enable_ssl_verification", True)
        had = ("push_events",) if hook.events is None else hook.events
        hook.events = tuple(one for one in NEEDED if said.get(one, one in had))

    def shown_hook(self, request: web.Request, hook: FakeHook) -> dict[str, Any]:
        events = NEEDED if hook.events is None else hook.events
        return {
            "id": hook.id,
            "url": hook.url,
            "alert_status": "executable" if hook.active else "disabled",
            "enable_ssl_verification": hook.checks_tls,
            "token_present": bool(hook.secret),
            **({"signing_token_present": hook.signing is not None} if self.signs else {}),
            **{one: one in events for one in NEEDED},
        }

    async def _test(self, request: web.Request) -> web.Response:
        hook, trigger = self.hook_under(request), request.match_info["trigger"]
        if trigger != "resource_access_token_events" or not self.tests_without_a_push:
            raise web.HTTPBadRequest(text="trigger does not have a valid value")
        said = {"object_kind": "access_token", "event_name": "expiring_access_token"}
        await self.send(hook, "Resource Access Token Hook", said)
        return web.json_response({"message": "201 Created"}, status=201)

    async def _events(self, request: web.Request) -> web.Response:
        return self._events_of(request, self._hook(request))

    async def _group_events(self, request: web.Request) -> web.Response:
        return self._events_of(request, self.hook_under(request))

    @staticmethod
    def _events_of(request: web.Request, hook: FakeHook) -> web.Response:
        shown = [
            {
                "id": one.id,
                "url": hook.url,
                "trigger": "push_hooks",
                "request_headers": one.headers | {"X-Gitlab-Token": "[REDACTED]"},
                "request_data": one.payload,
                "response_headers": {},
                "response_body": "",
                "execution_duration": 0.1,
                "response_status": str(one.status) if one.status else "internal error",
            }
            for one in hook.sent
        ]
        return page(request, shown, most=20, usual=20)

    async def _resend(self, request: web.Request) -> web.Response:
        hook = self._hook(request)
        if sum(one.again and one.at > time.time() - 60 for one in hook.sent) >= RESENDS_A_MINUTE:
            return self.too_many()
        for one in hook.sent:
            if str(one.id) == request.match_info["event"]:
                again = await self.send_again(hook, one)
                return web.json_response({"response_status": again.status}, status=201)
        raise web.HTTPNotFound(text="404 Not Found")

    # finding things

    @staticmethod
    def _page(request: web.Request, everything: list[Any]) -> web.Response:
        return page(request, everything, usual=20)

    @staticmethod
    def _known(project: FakeRepository, sha: str) -> None:
        if sha not in project.commits:
            raise web.HTTPNotFound(text="404 Commit Not Found")

    def _project(self, request: web.Request) -> FakeRepository:
        wanted = unquote(request.match_info["id"]).lower()
        for name, project in self.repositories.items():
            if wanted in (name, str(project.id)):
                project.follow()
                return project
        raise web.HTTPNotFound(text="404 Project Not Found")

    def pull_in(self, request: web.Request) -> FakePull:
        found = self._project(request).pulls.get(int(request.match_info["iid"]))
        if found is None:
            raise web.HTTPNotFound(text="404 Not found")
        return found

    def _of(self, request: web.Request) -> tuple[FakeRepository, FakeDeployment]:
        project = self._project(request)
        found = project.deployments.get(int(request.match_info["deployment"]))
        if found is None:
            raise web.HTTPNotFound(text="404 Deployment Not Found")
        return project, found

    def _hook(self, request: web.Request) -> FakeHook:
        return self.hook_under(request)
