"""A server of Git LFS: its batch API, and the files themselves."""

import base64
import hashlib
from dataclasses import dataclass, field

from aiohttp import web

JSON = "application/vnd.git-lfs+json"


@dataclass
class LargeFiles:
    """Answers below `/REPOSITORY.git/info/lfs`, as Git hosts do.

    Attributes:
        login: "user:password" that is asked for; None lets everybody in.
        moved: the address of another server, to which everything is redirected.
        files: the contents of each repository, by their ids.
        seen: the paths that were asked for, each with the credential that came along.
    """

    login: str | None = None
    moved: str | None = None
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    seen: set[tuple[str, str | None]] = field(default_factory=set)

    def add(self, repository: str, content: bytes) -> str:
        """Store a file of a repository; return its pointer."""
        self.files.setdefault(repository, {})[oid_of(content)] = content
        return pointer_to(content)

    def routes(self) -> list[web.RouteDef]:
        below = "/{name:.+}.git/info/lfs/objects"
        return [web.post(f"{below}/batch", self._batch), web.get(f"{below}/{{oid}}", self._file)]

    def _let_in(self, request: web.Request) -> dict[str, bytes]:
        given = request.headers.get("Authorization")
        self.seen.add((request.path, given))
        if self.moved is not None:
            raise web.HTTPTemporaryRedirect(f"{self.moved}{request.path}")
        wanted = base64.b64encode((self.login or "").encode()).decode()
        if self.login is not None and given != f"Basic {wanted}":
            raise web.HTTPUnauthorized(headers={"LFS-Authenticate": 'Basic realm="lfs"'})
        return self.files.get(request.match_info["name"], {})

    async def _batch(self, request: web.Request) -> web.Response:
        files = self._let_in(request)
        asked = (await request.json())["objects"]
        objects = [one | self._action(request, one["oid"], files) for one in asked]
        return web.json_response({"transfer": "basic", "objects": objects}, content_type=JSON)

    def _action(self, request: web.Request, oid: str, files: dict[str, bytes]) -> dict[str, object]:
        if oid not in files:
            return {"error": {"code": 404, "message": "Object does not exist"}}
        url = str(request.url).removesuffix("batch") + oid
        return {"actions": {"download": {"href": url}}}

    async def _file(self, request: web.Request) -> web.Response:
        files = self._let_in(request)
        return web.Response(body=files[request.match_info["oid"]])


def oid_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pointer_to(content: bytes) -> str:
    """What a repository has in place of a file."""
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{oid_of(content)}\nsize {len(content)}\n"
    )
