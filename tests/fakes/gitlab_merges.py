"""Merge requests of the fake GitLab: lists, files, members, and its webhooks."""

from typing import Any

from aiohttp import web

from tests.fakes.host import FakeHook, FakeHost, FakeRepository
from tests.fakes.pages import page
from tests.fakes.pulls import Change, FakePull

PROJECT = "/api/v4/projects/{id}"
WEB = "https://gitlab.example.com"
LEVELS = {"owner": 50, "admin": 40, "write": 30, "read": 20}

ACTIONS = {
    Change.OPENED: "open",
    Change.REOPENED: "reopen",
    Change.MERGED: "merge",
    Change.CLOSED: "close",
}
CHANGES: dict[Change, dict[str, Any]] = {
    Change.PUSHED: {"updated_at": {}},
    Change.LABELLED: {"labels": {"previous": [], "current": []}},
    Change.UNLABELLED: {"labels": {"previous": [], "current": []}},
    Change.RENAMED: {"title": {"previous": "an old title", "current": "a new one"}},
    Change.RETARGETED: {"target_branch": {"previous": "old", "current": "main"}},
    Change.DRAFTED: {"draft": {"previous": False, "current": True}, "title": {}},
    Change.READY: {"draft": {"previous": True, "current": False}, "title": {}},
    Change.ASSIGNED: {"assignees": {"previous": [], "current": []}, "updated_at": {}},
    Change.DESCRIBED: {"description": {"previous": "", "current": "x"}, "updated_at": {}},
}
DRAFT = "Draft: "


class GitlabMerges(FakeHost):
    """The part of the fake GitLab that has to do with merge requests.

    Attributes:
        diffs_at_most: more changed files than this are cut off.
        compares_later: the diffs of merge requests are not there yet.
        acts: who causes the events of webhooks; "" for the author.
        web_url: where its pages are.
        clones_from: where its repositories are cloned from, if not from its API's address.
    """

    web_url = WEB
    clones_from = ""
    diffs_at_most: int | None = None
    compares_later = False
    acts = ""

    def merge_routes(self) -> list[web.RouteDef]:
        merges = f"{PROJECT}/merge_requests"
        return [
            web.get("/api/v4/users", self._users),
            web.get(f"{PROJECT}/members/all/{{user}}", self._member),
            web.get(f"{PROJECT}/repository/commits/{{sha}}/merge_requests", self._merges),
            web.get(merges, self._list_merges),
            web.get(f"{merges}/{{iid}}", self._one_merge),
            web.get(f"{merges}/{{iid}}/diffs", self._diffs),
        ]

    def pull_events(
        self, repository: FakeRepository, pull: FakePull, change: Change, hook: FakeHook
    ) -> list[tuple[str, dict[str, Any]]]:
        if hook.events is not None and "merge_requests_events" not in hook.events:
            return []
        labels = [{"id": n, "title": one} for n, one in enumerate(pull.labels, 1)]
        actor = self.acts or pull.author
        url = f"{self.web_url}/{repository.name}"
        about = {
            "id": 1000 + pull.number,
            "iid": pull.number,
            "action": ACTIONS.get(change, "update"),
            "state": _state(pull),
            "title": pull.titled(DRAFT),
            "draft": pull.draft,
            "work_in_progress": pull.draft,
            "author_id": self.people.get(pull.author),
            "source_branch": pull.head,
            "target_branch": pull.base,
            "source_project_id": repository.id + (0 if pull.own else 1),
            "target_project_id": repository.id,
            "last_commit": {"id": pull.head_sha, "message": "a commit"},
            "labels": labels,
            "url": f"{url}/-/merge_requests/{pull.number}",
            "updated_at": pull.updated.replace("T", " ").replace("Z", " UTC"),
            "merge_commit_sha": pull.merge_sha,
            **({"oldrev": pull.before} if change is Change.PUSHED else {}),
        }
        said = {
            "object_kind": "merge_request",
            "event_type": "merge_request",
            "user": {"id": self.people.get(actor), "username": actor, "name": actor.title()},
            "project": {
                "id": repository.id,
                "path_with_namespace": repository.name,
                "web_url": url,
                "git_http_url": f"{url}.git",
                "git_ssh_url": f"git@gitlab.example.com:{repository.name}.git",
            },
            "object_attributes": about,
            "labels": labels,
            "changes": CHANGES.get(change, {"state_id": {}}),
        }
        return [("Merge Request Hook", said)]

    async def _list_merges(self, request: web.Request) -> web.Response:
        project, asked = self.repository_in(request), request.query
        by_update = asked.get("order_by", "created_at") == "updated_at"
        found = project.listed(open_only=asked.get("state") == "opened", by_update=by_update)
        if (asked.get("sort", "desc") == "desc") is not by_update:
            found.reverse()
        return page(request, [_merge(self.web_url, project, one) for one in found], usual=20)

    async def _merges(self, request: web.Request) -> web.Response:
        project, sha = self.repository_in(request), request.match_info["sha"]
        if sha not in project.commits:
            raise web.HTTPNotFound(text="404 Commit Not Found")
        return page(
            request, [_merge(self.web_url, project, one) for one in project.about(sha)], usual=20
        )

    async def _one_merge(self, request: web.Request) -> web.Response:
        project, pull = self.repository_in(request), self.pull_in(request)
        count = len(project.changed_in(pull)) if pull.base in project.branches else 0
        most = self.diffs_at_most
        told = str(count) if most is None or count <= most else f"{most}+"
        shown = _merge(self.web_url, project, pull)
        return web.json_response(shown | {"changes_count": None if self.compares_later else told})

    async def _diffs(self, request: web.Request) -> web.Response:
        changed = self.repository_in(request).changed_in(self.pull_in(request))
        shown = [
            {
                "old_path": one.before,
                "new_path": one.path,
                "new_file": one.kind == "added",
                "deleted_file": one.kind == "removed",
                "renamed_file": one.kind == "renamed",
                "diff": "",
                "collapsed": True,
            }
            for one in ([] if self.compares_later else changed[: self.diffs_at_most])
        ]
        return page(request, shown, usual=20)

    async def _users(self, request: web.Request) -> web.Response:
        wanted = request.query["username"].lower()
        found = [_user(one, id_) for one, id_ in self.people.items() if one == wanted]
        return web.json_response(found)

    async def _member(self, request: web.Request) -> web.Response:
        project, wanted = self.repository_in(request), request.match_info["user"]
        if not self.sees_roles:
            raise web.HTTPForbidden(text="403 Forbidden")
        for login, id_ in self.people.items():
            if str(id_) == wanted and login in project.roles:
                shown = _user(login, id_) | {"access_level": LEVELS[project.roles[login]]}
                return web.json_response(shown)
        raise web.HTTPNotFound(text="404 Member Not Found")


def _user(login: str, id_: int) -> dict[str, Any]:
    blocked = login.startswith("blocked")
    return {"id": id_, "username": login, "state": "blocked" if blocked else "active"}


def _state(pull: FakePull) -> str:
    return {"open": "opened"}.get(pull.state, pull.state)


def _merge(web_url: str, project: FakeRepository, pull: FakePull) -> dict[str, Any]:
    return {
        "id": 1000 + pull.number,
        "iid": pull.number,
        "project_id": project.id,
        "state": _state(pull),
        "title": pull.titled(DRAFT),
        "draft": pull.draft,
        "work_in_progress": pull.draft,
        "author": {"id": 1, "username": pull.author, "name": pull.author.title()},
        "labels": [*pull.labels],
        "web_url": f"{web_url}/{project.name}/-/merge_requests/{pull.number}",
        "updated_at": pull.updated.replace("Z", ".000Z"),
        "source_branch": pull.head,
        "target_branch": pull.base,
        "source_project_id": project.id + (0 if pull.own else 1),
        "target_project_id": project.id,
        "sha": pull.head_sha,
        **({"merge_commit_sha": pull.merge_sha} if pull.merge_sha else {}),
    }
