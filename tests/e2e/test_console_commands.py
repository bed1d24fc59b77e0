"""Commands in the console: each has a form, made of what the operation declares."""

import json
from pathlib import Path
from urllib.parse import quote

from bridge.operations.base import Door
from bridge.operations.every import offered
from bridge.ports.outcomes import DONE, Audited
from tests.worlds.bridge import Origin
from tests.worlds.console import console_world, fields_of, sent
from tests.worlds.embedded import until


async def test_each_operation_has_a_form_with_its_arguments(tmp_path: Path) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        listed = (await web.get("/console/do")).text
        for operation in offered(Door.CONSOLE):
            name = operation.name
            assert f'href="/console/do/{quote(name)}"' in listed
            form = (await web.get(f"/console/do/{name}")).text
            assert operation.does.split("`")[0] in form.replace("&#39;", "'")
            for argument in operation.arguments:
                shown = argument.kind.at(Door.CONSOLE)
                assert (f'name="{argument.name}"' in form) is shown
        assert (await web.get("/console/do/nothing")).status_code == 404


async def test_what_is_typed_is_done_shown_or_asked_back(tmp_path: Path, origin: Origin) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin)
        form = await web.get("/console/do/freeze?scope=shop&then=/console/apps")
        filled = {"reason": "an <b>incident</b>", "lasts": "2h", "allow": "rollback"}
        done = await sent(web, form, "Freeze</button>", **filled)
        assert done.status_code == 303
        assert done.headers["Location"].startswith("/console/apps?said=")
        (freeze,) = await console.world.stores.journal.freezes()
        assert (freeze.label, freeze.reason) == ("project shop", "an <b>incident</b>")

        listed = await sent(web, await web.get("/console/do/freezes"), "Freezes</button>")
        assert "an &lt;b&gt;incident&lt;/b&gt;" in listed.text

        asked = await sent(web, await web.get("/console/do/rollback?app=shop/web"), "Rollback<")
        assert asked.status_code == 400  # nothing came before
        refused = await web.post("/console/do/lock", data={"scope": "nosuch", "reason": "x"})
        assert refused.status_code == 400
        assert "there is no app" in refused.text.lower()


async def test_a_reason_that_is_missing_is_asked_for_with_what_holds(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        app_id = await console.deployed(origin)
        await web.post("/console/do/lock", data={"scope": "shop", "reason": "a release"})
        await web.post("/console/do/freeze", data={"scope": "all", "reason": "an incident"})
        await web.post("/console/do/deploy", data={"app": app_id})

        await until(console.world.states, lambda those: "held" in those)
        shown = await web.post("/console/do/override", data={"app": app_id})
        assert "What holds it" in shown.text
        call = json.loads(fields_of(shown.text, "Deploy anyway</button>")[1]["call"])
        assert len(call["seen"].split()) == 1
        done = await sent(web, shown, "Deploy anyway</button>", reason="it mends it")
        assert done.status_code == 303
        await console.world.ended(2)


async def test_an_app_is_configured_once_somebody_has_seen_what_changes(
    tmp_path: Path, origin: Origin
) -> None:
    secret = "hunter2-of-the-tests"
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        app_id = await console.deployed(origin)
        form = await web.get("/console/do/env set?app=shop/web")
        asked = await sent(web, form, "Env set</button>", variables=f"KEY={secret}\nLEVEL=debug")
        assert "env.KEY" in asked.text
        assert secret not in asked.text
        assert (await sent(web, asked, "Save</button>")).status_code == 303

        async def changed() -> Audited | None:
            notes = await console.world.stores.journal.audited(limit=9, app_id=app_id)
            return next((one for one in notes if one.result == DONE and one.difference), None)

        note = await until(changed, bool)
        assert note is not None
        assert (note.by.door, note.what) == ("console", "env set")
        shown = await web.post("/console/do/env show", data={"app": app_id})
        assert "KEY=********" in shown.text
        revealed = {"app": app_id, "reveal": "yes"}
        assert (await web.post("/console/do/env show", data=revealed)).status_code == 400

        folder = {"app": app_id, "url": "/etc", "branch": "main"}
        refused = await web.post("/console/do/provider set git", data=folder)
        assert "names no Git server" in refused.text
        undone = await sent(web, await web.get("/console/do/provider undo?app=shop/web"), "undo<")
        assert "env.LEVEL" in undone.text
