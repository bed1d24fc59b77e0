"""`logs` of one deployment among several, and what a failed `--follow` ends with."""

from pathlib import Path

from tests.worlds.embedded import Repository
from tests.worlds.shell import Shell, serving


async def test_the_log_of_each_deployment_is_found_by_its_number(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "mono", {"web/index.html": "", "gone/a": ""})
    async with serving(Shell(tmp_path)) as shell:
        created = ("--repo", str(repository.path), "--publish")
        await shell.run("app", "create", "web", *created, "web")
        await shell.run("app", "create", "api", *created, "gone")
        repository.git("rm", "-rq", "gone")
        repository.commit("refactor: without it")
        await shell.run("deploy", "default/web", "--follow")
        process = await shell.start("deploy", "default/api", "--follow")
        _, errors = await process.communicate()
        assert process.returncode == 3
        last = errors.decode().splitlines()[-1]
        assert last == "the whole log: dokploy-bridge logs default/api --deployment 2"

        words = last.split("dokploy-bridge ")[1].split()
        failed = await shell.json(*words)
        assert failed["status"] == "error"
        assert "'gone'" in " ".join(failed["log"])
        for name in ("1", "#1", "0000000000000001"):
            done = await shell.json("logs", "web", "--deployment", name)
            assert done["status"] == "done"
        by_backend = await shell.json("logs", "web", "--deployment", done["deployment"])
        assert by_backend == done

        process = await shell.start("logs", "web", "--deployment", "2")
        _, errors = await process.communicate()
        assert process.returncode == 4
        assert b"default/web has no deployment '2'; `dokploy-bridge deployments --app" in errors
