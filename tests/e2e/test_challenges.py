"""A bridge proves at its own address that it is this installation, and proves nothing else."""

import hashlib
import hmac
from pathlib import Path

from bridge.web.challenge import PURPOSE, proof_of
from tests.worlds.bridge import running_world

CHALLENGE = "0123456789abcdef" * 2
PATH = f"/hooks/challenge/{CHALLENGE}"


async def test_a_challenge_is_answered_with_a_proof_of_this_installation(tmp_path: Path) -> None:
    async with running_world(tmp_path / "one") as world:
        key = await world.stores.journal.secret(PURPOSE)
        answer = await world.web.get(PATH)
        again = await world.web.get(PATH)
    async with running_world(tmp_path / "one") as world:
        restarted = await world.web.get(PATH)
    async with running_world(tmp_path / "other") as world:
        other = await world.web.get(PATH)

    assert answer.status_code == 200
    assert answer.json() == again.json() == restarted.json() == {"proof": proof_of(key, CHALLENGE)}
    assert answer.headers["Cache-Control"] == "no-store"
    assert other.json() != answer.json()


async def test_only_a_challenge_is_answered_and_no_key_is_shown(tmp_path: Path) -> None:
    async with running_world(tmp_path / "data") as world:
        key = await world.stores.journal.secret(PURPOSE)
        for said in ("", "x", CHALLENGE[:-1], f"{CHALLENGE}0", CHALLENGE.upper(), "%2e%2e", "a/b"):
            answer = await world.web.get(f"/hooks/challenge/{said}")
            assert answer.status_code == 404, said
            assert key not in answer.text
        plain = hmac.new(key.encode(), CHALLENGE.encode(), hashlib.sha256).hexdigest()
        assert (await world.web.get(PATH)).json()["proof"] != plain  # it is bound to its purpose
