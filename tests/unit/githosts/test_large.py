"""A large body means what a small one does, and only so many are read for people at a time."""

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import MalformedPayload, Unreachable, Unread
from bridge.core.events import RefPushed
from bridge.core.large_json import LARGE
from bridge.githosts.base.webhook import load, without_nul
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.large_bodies import Apart
from tests.worlds.rows import each_row

HOST = GitHub(["secret"])
PADDING = b'{"padding": "' + b"x" * LARGE + b'", '


def push(commits: int, files: int) -> dict[str, Any]:
    """A push of GitHub's."""
    listed = [
        {
            "id": f"{number:040x}",
            "message": "feat: ä 😀",
            "author": {"name": "Ada", "email": "ada@example.com"},
            "added": [f"apps/{number}/{file}" for file in range(files)],
            "removed": ["b", "a"],
            "modified": ["README.md"],
        }
        for number in range(commits)
    ]
    return {
        "ref": "refs/heads/main",
        "before": "a" * 40,
        "after": "b" * 40,
        "commits": listed,
        "head_commit": listed[-1],
        "repository": {"id": 1, "name": "mono", "full_name": "my-org/mono"},
    }


@each_row("ascii_only", [False, True])
def test_a_large_body_means_what_a_small_one_does(*, ascii_only: bool) -> None:
    small = json.dumps(push(3, 4), ensure_ascii=ascii_only).encode()
    large = PADDING + small[1:]

    meaning = HOST.parse("push", {}, large)

    assert meaning == HOST.parse("push", {}, small)
    assert isinstance(meaning, RefPushed)
    assert meaning.paths is not None
    assert meaning.paths[:2] == ("README.md", "a")


@each_row(
    "rest",
    [
        *(b'"a": NaN}', b'"a": -Infinity}', b'"a": "\xff"}', b'"a": "\n"}', b'"a": 1', b'"a": 1}}'),
        *(
            b'"a": "\\ud800"}',
            b'"a": "\\uDfff"}',
            b'"a": "\\x"}',
            b'"a": ' + b"9" * 5000 + b"}",
            b'"a": ' + b"[" * 200_000,
        ),
        b'"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda rest: rest[:16].decode(errors="replace"),
)
def test_a_large_body_that_is_not_json_is_malformed_as_a_small_one_is(rest: bytes) -> None:
    with pytest.raises(MalformedPayload, match="body is not JSON"):
        load(PADDING + rest, "body")
    with pytest.raises(MalformedPayload):
        HOST.parse("push", {}, PADDING + rest)


# ── NUL ──────────────────────────────────────────────────────────────────────

NUL = re.compile(rb"(?<!\\)((?:\\\\)*+)\\u0000")
"""What it means, as a pattern; it needs far too much memory for some bodies."""


@given(
    st.lists(st.sampled_from([b"\\", b"\\\\", b"\\u0000", b"u0000", b"\\n", b"a", b'"'])),
    st.integers(1, 9),
)
def test_nul_is_replaced_wherever_a_piece_ends(parts: list[bytes], size: int) -> None:
    body = b"".join(parts)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]

    assert b"".join(without_nul(pieces)) == NUL.sub(rb"\1\\ufffd", body)
    assert b"".join(without_nul([body])) == NUL.sub(rb"\1\\ufffd", body)


async def test_of_two_that_are_read_for_people_a_third_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def read(*_: object) -> object:
        begun.set()
        await let_go.wait()
        raise Unread("it was let go")

    monkeypatch.setattr("bridge.githosts.large_bodies._read", read)
    apart, host = Apart(most=2), HOST
    two = [asyncio.ensure_future(apart(host, "push", {}, [b"{}"])) for _ in range(2)]
    await begun.wait()

    with pytest.raises(Unreachable, match="others use it"):
        await apart(host, "push", {}, [b"{}"])
    let_go.set()

    ended = await asyncio.gather(*two, return_exceptions=True)
    assert [type(one) for one in ended] == [Unread, Unread]
