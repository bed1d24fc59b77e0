"""Commands in the console: each has a form, made of what the operation declares."""

import json
from pathlib import Path
from urllib.parse import quote

from bridge.operations.every import OPERATIONS
from tests.worlds.bridge import Origin
from tests.worlds.console import console_world, fields_of, sent
from tests.worlds.embedded import until


async def test_each_operation_has_a_form_with_its_arguments(tmp_path: Path) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        listed = (await web.get("/console/do")).text
        for name, operation in OPERATIONS.items():
            assert f'href="/console/do/{quote(name)}"' in listed
            form = (await web.get(f"/console/do/{name}")).text
            assert operation.does.split("`")[0] in form.replace("&#39;", "'")
            for argument in operation.arguments:
                assert (f'name="{argument.name}"' in form) is not argument.kind.hidden
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
