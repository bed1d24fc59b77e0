"""How an app is configured is shown and undone by commands in Slack."""

import json
from pathlib import Path

from tests.e2e.test_slack_provider import SECRET, agree, branch_of, change, posted
from tests.fakes.slack.hands import words_of
from tests.worlds.bridge import Origin
from tests.worlds.slack import slack_world


async def test_how_it_is_configured_is_shown_and_undone_by_command(
    tmp_path: Path, origin: Origin
) -> None:
    async with slack_world(tmp_path / "bridge") as both:
        app_id = await both.app(origin)
        assert both.world.backend is not None
        await both.world.backend.save_env(app_id, env=f"KEY={SECRET}")
        await agree(both, branch="dev")
        await change(both)

        source = await both.hands.type("provider show web")
        variables = await both.hands.type("env show web")
        asked = await both.hands.type("provider undo web")

        assert "dev" in words_of(source.body)
        assert "KEY=********" in words_of(variables.body)
        assert "`dev` → `main`" in words_of(asked.body)
        await both.hands.click(asked.body, "operation.run")
        await both.slack.until(lambda: posted(both, "undid a change"))
        assert await branch_of(both, app_id) == "main"
        assert SECRET not in json.dumps([call.args for call in both.slack.calls])
