"""The webhooks that the bridge has made, in each database."""

from dataclasses import replace
from typing import Any

from bridge.core.hooks import Scope, ScopeKind
from bridge.ports.hooks import LASTS, HookState, MadeHook
from tests.fakes.journey import ManualClock
from tests.worlds.journal import Opened

MONO = Scope(ScopeKind.REPOSITORY, "my-org/mono", "4711")
NEW = MadeHook("github", MONO, "sealed-1", made_at=5.0)


async def test_a_secret_is_there_before_its_webhook_is(journal: Any, reopened: Opened) -> None:
    assert await journal.plan_hook(NEW) == NEW

    (found,) = await (await reopened()).made_hooks()

    assert found == NEW
    assert found.state is HookState.PLANNED


async def test_a_made_webhook_is_live_under_the_name_that_its_scope_has_now(journal: Any) -> None:
    await journal.plan_hook(NEW)

    await journal.hook_made(NEW.key, "12", signs=True, name="my-org/renamed")

    (found,) = await journal.made_hooks()
    assert (found.hook, found.signs, found.state) == ("12", True, HookState.LIVE)
    assert found.scope == replace(MONO, name="my-org/renamed")


async def test_during_a_rotation_both_secrets_are_there(
    journal: Any, reopened: Opened, clock: ManualClock
) -> None:
    await journal.plan_hook(NEW)
    await journal.hook_made(NEW.key, "12", signs=True, name=MONO.name)

    begun = await journal.rotate_hook(NEW.key, "sealed-2")

    assert (begun.sealed, begun.sealed_next, begun.state) == (
        "sealed-1",
        "sealed-2",
        HookState.ROTATING,
    )
    clock.now += 60
    journal = await reopened()
    assert await journal.end_rotation(NEW.key, "sealed-2")
    (found,) = await journal.made_hooks()
    assert (found.sealed, found.sealed_next, found.made_at) == ("sealed-2", None, clock.now)
    assert found.accepted(clock.now + LASTS - 1) == ["sealed-2", "sealed-1"]
    assert found.accepted(clock.now + LASTS) == ["sealed-2"]
    clock.now += LASTS + 1
    assert (await journal.rotate_hook(NEW.key, "sealed-3")).sealed_last is None


async def test_what_is_only_planned_is_not_rotated(journal: Any) -> None:
    await journal.plan_hook(NEW)

    assert await journal.rotate_hook(NEW.key, "sealed-2") == NEW
    assert await journal.rotate_hook("github repository 1", "sealed-2") is None
