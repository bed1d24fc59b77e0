"""The repositories of a trial, without a Dokploy."""

from pathlib import Path

from tests.trial.repositories import repositories
from tests.worlds.embedded import Repository


def test_a_repository_is_made_where_an_account_clones_and_removed_at_the_end(
    tmp_path: Path,
) -> None:
    with repositories(tmp_path / "served") as hosted:
        repo = hosted.make_at(tmp_path / "github", "github")
        bare = tmp_path / "github" / f"{repo.name}.git"
        commit = repo.commit_files(sleep=2)

        Repository(tmp_path).git("clone", "-q", str(bare), "cloned")

        assert Repository(tmp_path / "cloned").head() == commit == repo.head("main")
        assert (tmp_path / "cloned" / ".sleep").read_text() == "2"

    assert not bare.exists()
