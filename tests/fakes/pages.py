"""Lists in pages, as GitHub and GitLab answer them."""

from collections.abc import Callable
from hashlib import md5
from typing import Any

from aiohttp import web


def page(
    request: web.Request,
    everything: list[Any],
    *,
    most: int = 100,
    usual: int = 30,
    of: Callable[[list[Any]], Any] = list,
) -> web.Response:
    """Return one page of a list, with a `Link` header to the next; `of`: what encloses it.

    An unchanged page is answered without its content, as GitHub does.
    """
    size = min(int(request.query.get("per_page", usual)), most)
    number = int(request.query.get("page", "1"))
    answer = web.json_response(of(everything[(number - 1) * size : number * size]))
    if number * size < len(everything):
        following = request.url.update_query(page=str(number + 1), per_page=str(size))
        answer.headers["Link"] = f'<{following}>; rel="next"'
    shown = f"{answer.text} {answer.headers.get('Link')}"
    answer.headers["ETag"] = etag = f'W/"{md5(shown.encode()).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    return answer
