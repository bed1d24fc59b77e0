"""Paths stay inside of their folder, and names fit where they are used."""

import re
from pathlib import Path

import pytest

from bridge.embedded.building.sites import content_type, find
from bridge.embedded.storage.paths import BuildFailed, inside
from bridge.embedded.storage.records import moment, new_app_name, new_id, seconds
from tests.worlds.rows import each_row


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "apps" / "web").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "inner").symlink_to("apps")
    (root / "outer").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "."),
        ("", "."),
        ("/", "."),
        ("./", "."),
        ("/apps/web", "apps/web"),
        ("apps//web/", "apps/web"),
        ("inner/web", "apps/web"),
        ("apps/../apps", "apps"),
    ],
)
def test_a_path_of_the_repository_is_found(root: Path, wanted: str | None, found: str) -> None:
    assert inside(root, wanted, what="path") == (root / found).resolve()


@pytest.mark.parametrize("wanted", ["..", "/..", "apps/../..", "outer", "outer/root/..", ".git"])
def test_a_path_out_of_the_repository_is_not(root: Path, wanted: str) -> None:
    with pytest.raises(BuildFailed, match=r"outside|off limits"):
        inside(root, wanted, what="path")


def test_a_path_must_exist(root: Path) -> None:
    with pytest.raises(BuildFailed, match="'nothing' does not exist"):
        inside(root, "nothing", what="path")


@each_row("name", ["Web Shop", "", "---", "a" * 300, "ÄÖ", "a/../b", "x.y"])
def test_a_name_for_addresses_is_a_label_of_a_host_name(name: str) -> None:
    made = new_app_name(name)

    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?-[a-z0-9]{6}", made)
    assert len(made) <= 63
    assert made != new_app_name(name)


def test_ids_and_moments_look_like_the_servers() -> None:
    assert re.fullmatch(r"[\w-]{21}", new_id())
    assert moment(1795560037.334) == "2026-11-24T22:40:37.334Z"
    assert seconds("2026-11-24T22:40:37.334Z") == pytest.approx(1795560037.334)


def test_a_site_without_a_release_has_nothing(tmp_path: Path) -> None:
    assert find(tmp_path, "").file is None


def test_types_do_not_depend_on_the_machine() -> None:
    assert content_type(Path("a.MJS")) == "text/javascript; charset=utf-8"
    assert content_type(Path("a.svg")) == "image/svg+xml; charset=utf-8"
    assert content_type(Path("a.png")) == "image/png"
    assert content_type(Path("a")) == "application/octet-stream"
