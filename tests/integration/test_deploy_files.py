"""The files for Compose, Dokploy and systemd, read as those who take them read them."""

import base64
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import yaml

from bridge import __version__
from bridge.settings import read_settings
from tests.oracles.programs import PLACES, program, said

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ID = "dokploy-bridge"


# ── Compose ────────────────────────────────────────────────────────────────────────────────────

POSTGRES = ("postgres", "web", "worker")


def compose_program() -> list[str]:
    """Return Docker's Compose: a command of its own, or part of Docker's."""
    if docker := shutil.which("docker", path=PLACES):
        asked = [docker, "compose", "version"]
        if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            return [docker, "compose"]
    return [program("docker-compose")]


def composed(*profiles: str) -> dict[str, Any]:
    """Return the services of compose.yaml as Compose itself resolves them."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    words = ["-f", str(ROOT / "compose.yaml"), *chosen, "config", "--format", "json"]
    found: dict[str, Any] = json.loads(said(*compose_program(), *words))["services"]
    return found


def test_compose_starts_one_bridge_on_sqlite() -> None:
    (name, bridge), *others = composed().items()

    assert (name, others) == ("bridge", [])
    assert [(one["type"], one["target"]) for one in bridge["volumes"]] == [("volume", "/data")]
    assert "DATABASE_URL" not in bridge.get("environment", {})


def test_the_profile_postgres_has_one_that_receives_and_two_that_deploy() -> None:
    services = composed("postgres")

    assert sorted(services) == ["bridge", *POSTGRES]
    web, worker = services["web"], services["worker"]
    assert web["command"] == ["serve", "--role", "web"]
    assert (worker["command"], worker["deploy"]["replicas"]) == (["serve", "--role", "worker"], 2)
    for one in (web, worker):
        read = read_settings(None, one["environment"] | {"BRIDGE_SECRET_KEY": "k" * 32})
        assert read.database_url is not None
        assert one["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_compose_and_dokploys_template_give_no_bridge_more_than_it_needs() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    compose = [(services[name], "1g") for name in ("bridge", "web", "worker")]
    for one, memory in [*compose, (blueprint()[0]["services"][ID], "512m")]:
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["stop_grace_period"] == "15s"  # it needs 10
        assert one["mem_limit"] == memory
        assert one["tmpfs"] == services["bridge"]["tmpfs"]
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ()))


# ── Dokploy's template ─────────────────────────────────────────────────────────────────────────

Blueprint = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
HELPER = re.compile(
    r"domain|email|randomPort|username|uuid|((base64|hash|password|timestamp(ms|s)?)(:\w+)?)|jwt(:.+)?"
).fullmatch
LINKS = {"github", "website", "docs"}
REQUIRED = {"id", "name", "version", "description", "links", "logo", "tags"}


def blueprint() -> Blueprint:
    folder = DEPLOY / "dokploy"
    return (
        yaml.safe_load((folder / "docker-compose.yml").read_text()),
        tomllib.loads((folder / "template.toml").read_text()),
        json.loads((folder / "meta.json").read_text()),
    )


def test_the_template_is_valid_by_the_rules_of_their_repository() -> None:
    compose, template, meta = blueprint()
    services = compose["services"]
    assert (compose["version"], "networks" in compose, ID in services) == ("3.8", False, True)
    for name, service in services.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert not service.keys() & {"container_name", "networks", "ports"}
        assert service["restart"] in ("always", "unless-stopped")
        assert not [one for one in service.get("volumes", ()) if str(one).startswith("/")]
    variables, config = template["variables"], template["config"]
    assert config["domains"]
    for domain in config["domains"]:
        assert domain["serviceName"] in services
        assert 1 <= domain["port"] <= 65_535
    assert all(re.fullmatch(r"[A-Z_]+=.*", line) for line in config["env"])
    texts = [*variables.values(), *config["env"], *(one["host"] for one in config["domains"])]
    used = re.findall(r"\$\{([^}]+)\}", " ".join(texts))
    assert not [one for one in used if one not in variables and not HELPER(one)]
    assert all(meta[key] for key in REQUIRED)
    assert meta["id"] == ID
    assert meta["links"].keys() >= LINKS
    assert (DEPLOY / "dokploy" / meta["logo"]).is_file()
    assert any(one["image"].endswith(f":{meta['version']}") for one in services.values())


def test_the_template_runs_this_release_with_settings_that_exist() -> None:
    compose, template, meta = blueprint()
    secrets = dict.fromkeys(template["variables"], "s" * 64)
    pairs = (line.partition("=") for line in template["config"]["env"])
    environment = {
        key: re.sub(r"\$\{(\w+)\}", lambda found: secrets[found[1]], value)
        for key, _, value in pairs
    }

    read = read_settings(None, environment)

    assert meta["version"] == __version__
    assert compose["services"][ID]["env_file"] == [".env"]  # all that is set in Dokploy arrives
    assert not any(one.serves for one in read.host_servers().values())  # so the log has the link
    assert read.web.metrics_token is not None
    weak = [words for words in template["variables"].values() if "password" in words]
    assert weak == []  # Dokploy makes those with Math.random


def test_what_the_docs_say_makes_what_dokploy_imports() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    (command,) = re.findall(r"^ *(jq --null-input.*?--wrap=0)$", page, re.MULTILINE | re.DOTALL)
    program("jq")

    done = subprocess.run(["sh", "-c", command], cwd=ROOT, check=True, capture_output=True)
    found = json.loads(base64.b64decode(done.stdout))

    compose, template, _ = blueprint()
    assert yaml.safe_load(found["compose"]) == compose
    assert tomllib.loads(found["config"]) == template


# ── the image's release ────────────────────────────────────────────────────────────────────────


def test_a_release_pushes_the_image_with_all_that_it_is_built_from() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    steps = workflow["jobs"]["image"]["steps"]
    (build,) = (step["with"] for step in steps if "build-push-action" in step.get("uses", ""))
    arguments = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    given = [line.partition("=")[0] for line in build["build-args"].splitlines()]
    assert set(given) == set(arguments) - {"PYTHON"}
    assert (build["push"], build["provenance"], build["sbom"]) == (True, "mode=max", True)


# ── systemd ────────────────────────────────────────────────────────────────────────────────────

MOST_EXPOSED = 2.0
"""Of ten; what is left is mostly the network."""


def test_systemd_finds_no_mistake_in_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / f"{ID}.service").read_text()
    started = "/opt/dokploy-bridge/bin/dokploy-bridge"
    assert f"ExecStart={started} serve\n" in text
    unit = tmp_path / f"{ID}.service"
    unit.write_text(text.replace(started, str(shutil.which("true", path=PLACES))))

    assert said(program("systemd-analyze", "systemd"), "verify", "--man=no", unit) == ""


def test_what_the_unit_says_makes_a_file_of_settings_that_only_root_reads(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / f"{ID}.service").read_text()
    (command,) = re.findall(r"^#     (install .*?bridge\.env)", text, re.MULTILINE)

    subprocess.run(command.replace(" /etc", f" {tmp_path}/etc").split(), check=True)

    made = tmp_path / "etc" / "dokploy-bridge" / "bridge.env"
    assert (made.read_bytes(), made.stat().st_mode & 0o777) == (b"", 0o600)


def test_the_unit_is_hardened() -> None:
    unit = DEPLOY / "systemd" / f"{ID}.service"
    analyze = program("systemd-analyze", "systemd")
    told = said(analyze, "security", "--offline=true", "--no-pager", unit)
    (exposed,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", told)

    assert float(exposed) < MOST_EXPOSED
