"""Pull requests of the fake GitHub: lists, files, rights, and its webhooks."""

from typing import Any

from aiohttp import web

from tests.fakes.github_examples import REPOSITORY, example
from tests.fakes.host import FakeHook, FakeHost, FakeRepository
from tests.fakes.pages import page
from tests.fakes.pulls import Change, FakePull

MOST_FILES = 3000
WEB = "https://github.com"

ACTIONS = {
    Change.PUSHED: "synchronize",
    Change.LABELLED: "labeled",
    Change.UNLABELLED: "unlabeled",
    Change.RENAMED: "edited",
    Change.RETARGETED: "edited",
    Change.DESCRIBED: "edited",
    Change.DRAFTED: "converted_to_draft",
    Change.READY: "ready_for_review",
    Change.MERGED: "closed",
}
CHANGES: dict[Change, dict[str, Any]] = {
    Change.RENAMED: {"title": {"from": "an old title"}},
    Change.RETARGETED: {"base": {"ref": {"from": "old"}, "sha": {"from": "0" * 40}}},
    Change.DESCRIBED: {"body": {"from": "an old description"}},
}


class GithubPulls(FakeHost):
    """The part of the fake GitHub that has to do with pull requests.

    Attributes:
        web_url: where its pages and repositories are.
    """

    web_url = WEB

    def pull_routes(self) -> list[web.RouteDef]:
        r = "/repos/{owner}/{repo}"
        return [
            web.get(f"{r}/pulls", self._list_pulls),
            web.get(f"{r}/pulls/{{number}}", self._one_pull),
            web.get(f"{r}/pulls/{{number}}/files", self._pull_files),
            web.get(f"{r}/commits/{{sha}}/pulls", self._pulls),
            web.get(f"{r}/collaborators/{{login}}/permission", self._permission),
            web.get("/users/{login}", self._person),
        ]

    def pull_events(
        self, repository: FakeRepository, pull: FakePull, change: Change, hook: FakeHook
    ) -> list[tuple[str, dict[str, Any]]]:
        if hook.events is not None and not {"pull_request", "*"} & {*hook.events}:
            return []
        shown = self._shown_pull(
            repository, pull, example(f"{REPOSITORY}/pulls/{{pull_number}}")
        ) | {"merged": pull.state == "merged"}
        said: dict[str, Any] = {
            "action": ACTIONS.get(change, str(change)),
            "number": pull.number,
            "pull_request": shown,
            "repository": self._named(repository),
            "sender": shown["user"],
        }
        if change in CHANGES:
            said["changes"] = CHANGES[change]
        if change is Change.PUSHED:
            said |= {"before": pull.before, "after": pull.head_sha}
        return [("pull_request", said)]

    def _named(self, repository: FakeRepository) -> dict[str, Any]:
        url = f"{self.web_url}/{repository.name}"
        shown: dict[str, Any] = example(REPOSITORY) | {
            "id": repository.id,
            "name": repository.name.rpartition("/")[2],
            "full_name": repository.name,
            "html_url": url,
            "clone_url": f"{url}.git",
            "ssh_url": f"git@github.com:{repository.name}.git",
            "git_url": f"git://github.com/{repository.name}.git",
        }
        return shown

    async def _list_pulls(self, request: web.Request) -> web.Response:
        repository, asked = self.repository_in(request), request.query
        by_update = asked.get("sort", "created") == "updated"
        found = repository.listed(
            open_only=asked.get("state", "open") == "open", by_update=by_update
        )
        usual = "asc" if by_update else "desc"
        if (asked.get("direction", usual) == "desc") is not by_update:
            found.reverse()
        return page(request, [self._pull(repository, one) for one in found])

    async def _pulls(self, request: web.Request) -> web.Response:
        repository = self.repository_in(request)
        sha = request.match_info["sha"]
        if sha not in repository.commits:
            raise web.HTTPUnprocessableEntity(text=f"No commit found for SHA: {sha}")
        return page(request, [self._pull(repository, one) for one in repository.about(sha)])

    async def _one_pull(self, request: web.Request) -> web.Response:
        repository, pull = self.repository_in(request), self.pull_in(request)
        shown = example(f"{REPOSITORY}/pulls/{{pull_number}}")
        return web.json_response(self._shown_pull(repository, pull, shown))

    async def _pull_files(self, request: web.Request) -> web.Response:
        repository, pull = self.repository_in(request), self.pull_in(request)
        form = example(f"{REPOSITORY}/pulls/{{pull_number}}/files")[0]
        shown = [
            form
            | {"filename": one.path, "status": one.kind}
            | ({"previous_filename": one.before} if one.kind == "renamed" else {})
            for one in repository.changed_in(pull)
        ]
        return page(request, shown[:MOST_FILES])

    async def _permission(self, request: web.Request) -> web.Response:
        repository, login = self.repository_in(request), request.match_info["login"]
        if not self.sees_roles:
            raise web.HTTPForbidden(text="Must have push access to view collaborator permission.")
        if login.lower() not in self.people:
            raise web.HTTPNotFound(text=f"{login} is not a user")
        role = repository.roles.get(login.lower(), "read")
        shown = example(f"{REPOSITORY}/collaborators/{{username}}/permission")
        shown["permission"] = "admin" if role == "owner" else role
        shown["user"] |= {"login": login.lower(), "id": self.people[login.lower()]}
        return web.json_response(shown)

    async def _person(self, request: web.Request) -> web.Response:
        login = request.match_info["login"].lower()
        if login not in self.people:
            raise web.HTTPNotFound(text="Not Found")
        shown = example("/users/{username}") | {"login": login.title(), "id": self.people[login]}
        return web.json_response(shown)

    def _pull(self, repository: FakeRepository, pull: FakePull) -> dict[str, Any]:
        shown = example(f"{REPOSITORY}/commits/{{commit_sha}}/pulls")[0]
        return self._shown_pull(repository, pull, shown)

    def _shown_pull(
        self, repository: FakeRepository, pull: FakePull, shown: dict[str, Any]
    ) -> dict[str, Any]:
        shown |= {
            "number": pull.number,
            "state": "open" if pull.is_open else "closed",
            "title": pull.title,
            "draft": pull.draft,
            "html_url": f"{self.web_url}/{repository.name}/pull/{pull.number}",
            "labels": [shown["labels"][0] | {"name": one} for one in pull.labels],
            "updated_at": pull.updated,
            "merged_at": pull.updated if pull.state == "merged" else None,
            "merge_commit_sha": pull.merge_sha or "f" * 40,  # one on trial
        }
        shown["user"] |= {"login": pull.author}
        for side, ref, sha in (("head", pull.head, pull.head_sha), ("base", pull.base, "0" * 40)):
            shown[side] |= {"ref": ref, "sha": sha}
            shown[side]["repo"] |= {"id": repository.id, "full_name": repository.name}
        if not pull.own:
            shown["head"]["repo"]["id"] = repository.id + 1
        return shown
