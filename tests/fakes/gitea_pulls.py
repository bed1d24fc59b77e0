"""Pull requests of the fake Gitea: lists, files, rights, and its webhooks."""

from typing import Any

from aiohttp import web

from tests.fakes.host import FakeHook, FakeHost, FakeRepository
from tests.fakes.pulls import Change, FakePull

SYNC, LABEL = "pull_request_sync", "pull_request_label"
TYPES = {Change.PUSHED: SYNC, Change.LABELLED: LABEL, Change.UNLABELLED: LABEL}
"""The type of event that a webhook has to be subscribed to."""

ACTIONS = {
    Change.PUSHED: "synchronized",
    Change.LABELLED: "label_updated",
    Change.UNLABELLED: "label_updated",
    Change.RENAMED: "edited",
    Change.RETARGETED: "edited",
    Change.DESCRIBED: "edited",
    Change.DRAFTED: "edited",
    Change.READY: "edited",
    Change.MERGED: "closed",
}
CHANGES: dict[Change, dict[str, Any]] = {
    Change.RENAMED: {"title": {"from": "an old title"}},
    Change.RETARGETED: {"ref": {"from": "old"}},
    Change.DESCRIBED: {"body": {"from": "an old description"}},
    Change.DRAFTED: {"title": {"from": "a title"}},
    Change.READY: {"title": {"from": "WIP: a title"}},
}
DRAFT = "WIP: "


class GiteaPulls(FakeHost):
    """The part of the fake Gitea that has to do with pull requests.

    Attributes:
        tells_drafts: False: as an older one, where only the title tells.
        lists_files: False: as before 1.18.
    """

    web_url: str
    tells_drafts = True
    lists_files = True

    def pull_routes(self) -> list[web.RouteDef]:
        r = "/api/v1/repos/{owner}/{repo}"
        return [
            web.get(f"{r}/commits/{{sha}}/pull", self._merged),
            web.get(f"{r}/pulls", self._pulls),
            web.get(f"{r}/pulls/{{number}}", self._one_pull),
            web.get(f"{r}/pulls/{{number}}/files", self._pull_files),
            web.get(f"{r}/collaborators/{{login}}/permission", self._permission),
            web.get("/api/v1/users/{login}", self._person),
        ]

    def shown_repository(self, repository: FakeRepository) -> dict[str, Any]:
        """Return a repository as Gitea shows it."""
        raise NotImplementedError

    def paged(self, request: web.Request, everything: list[Any]) -> web.Response:
        """Return a page of a list."""
        raise NotImplementedError

    def pull_events(
        self, repository: FakeRepository, pull: FakePull, change: Change, hook: FakeHook
    ) -> list[tuple[str, dict[str, Any]]]:
        if hook.events is not None and TYPES.get(change, "pull_request") not in hook.events:
            return []
        cleared = change is Change.UNLABELLED and not pull.labels
        said = {
            "action": "label_cleared" if cleared else ACTIONS.get(change, str(change)),
            "number": pull.number,
            **({"changes": CHANGES[change]} if change in CHANGES else {}),
            "pull_request": self._pull(repository, pull),
            "repository": self.shown_repository(repository),
            "sender": {"id": self.people.get(pull.author), "login": pull.author},
        }
        return [("pull_request", said)]

    async def _pulls(self, request: web.Request) -> web.Response:
        repository, asked = self.repository_in(request), request.query
        state, sort = asked.get("state", "open"), asked.get("sort")
        found = repository.listed(open_only=state == "open", by_update=sort == "recentupdate")
        if sort is None:  # the newest first
            found.reverse()
        return self.paged(request, [self._pull(repository, one) for one in found])

    async def _merged(self, request: web.Request) -> web.Response:
        repository, sha = self.repository_in(request), request.match_info["sha"]
        for one in repository.pulls.values():
            if one.merge_sha == sha:
                return web.json_response(self._pull(repository, one))
        raise web.HTTPNotFound(text="The target couldn't be found.")

    async def _one_pull(self, request: web.Request) -> web.Response:
        shown = self._pull(self.repository_in(request), self.pull_in(request))
        return web.json_response(shown)

    async def _pull_files(self, request: web.Request) -> web.Response:
        if not self.lists_files:
            raise web.HTTPNotFound(text="404 page not found")
        kinds = {"removed": "deleted", "modified": "changed"}
        return self.paged(
            request,
            [
                {"filename": one.path, "status": kinds.get(one.kind, one.kind)}
                | ({"previous_filename": one.before} if one.kind == "renamed" else {})
                for one in self.repository_in(request).changed_in(self.pull_in(request))
            ],
        )

    async def _person(self, request: web.Request) -> web.Response:
        login = request.match_info["login"].lower()
        if login not in self.people:
            raise web.HTTPNotFound(text="user redirect does not exist")
        return web.json_response({"id": self.people[login], "login": login})

    async def _permission(self, request: web.Request) -> web.Response:
        repository, login = self.repository_in(request), request.match_info["login"].lower()
        if not self.sees_roles:
            raise web.HTTPForbidden(text="Only admins can query all permissions")
        if login not in self.people:
            raise web.HTTPNotFound(text="user does not exist")
        role = repository.roles.get(login, "read")
        user = {"id": self.people[login], "login": login}
        return web.json_response({"permission": role, "role_name": role, "user": user})

    def _pull(self, repository: FakeRepository, pull: FakePull) -> dict[str, Any]:
        head = repository.id + (0 if pull.own else 1)
        return {
            "number": pull.number,
            "state": "open" if pull.is_open else "closed",
            "title": pull.titled(DRAFT),
            **({"draft": pull.draft} if self.tells_drafts else {}),
            "user": {"id": self.people.get(pull.author, 99), "login": pull.author},
            "labels": [{"id": n, "name": one} for n, one in enumerate(pull.labels, 1)],
            "html_url": f"{self.web_url}/{repository.name}/pulls/{pull.number}",
            "updated_at": pull.updated,
            "merged": pull.state == "merged",
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo_id": head},
            "base": {"ref": pull.base, "sha": "0" * 40, "repo_id": repository.id},
            **({"merge_commit_sha": pull.merge_sha} if pull.merge_sha else {}),
        }
