"""What Docker's words about containers, and their images, mean for a deployment."""

from bridge.core.health.containers import (
    Container,
    Proof,
    built_image,
    judge_containers,
    judge_images,
)
from tests.worlds.rows import each_row


def up(words: str, name: str = "web.1.a") -> Container:
    return Container(name, "running", f"Up {words}")


def exited(code: int, ago: str) -> Container:
    return Container("web.1.b", "exited", f"Exited ({code}) {ago} ago")


@each_row(
    ("containers", "healthy", "says"),
    [
        ([], None, "shows no container of it that runs"),
        ([exited(143, "3 seconds")], None, "shows no container of it that runs"),
        ([exited(1, "3 seconds")], False, "no container runs: one has exited with code 1"),
        ([up("4 seconds")], True, "1 container runs"),
        ([up("4 seconds"), up("6 seconds")], True, "2 containers run"),
        ([up("4 seconds (unhealthy)")], False, "health check of a container fails"),
        ([up("4 seconds (health: starting)")], False, "has not passed yet"),
        ([up("4 seconds (healthy)")], True, "1 container runs"),
        ([up("3 hours")], False, "the old version was kept or restored"),
        ([up("3 hours"), exited(137, "9 seconds")], False, "the old version was kept or restored"),
        ([up("3 hours"), up("4 seconds")], False, "a container of an older version still runs"),
        ([up("4 seconds"), exited(1, "9 seconds")], None, "one has exited with code 1"),
        ([up("4 seconds"), exited(0, "9 seconds")], True, "1 container runs"),
        ([up("4 seconds"), exited(1, "2 days")], True, "1 container runs"),
        ([up("a while")], None, "a container is 'Up a while'"),
        ([Container("web.1.c", "running", "")], None, "does not say since when"),
        ([exited(1, "2 days")], None, "shows no container of it that runs"),
        ([Container("web.1.c", "created", "Created")], None, "shows no container of it that runs"),
        ([up("4 seconds"), exited(143, "9 seconds")], True, "1 container runs"),
    ],
)
def test_what_runs_half_a_minute_after_a_deployment_began(
    containers: list[Container], healthy: bool | None, says: str
) -> None:
    found, why = judge_containers(containers, 30.0)

    assert found is healthy
    assert says in why


def test_a_container_that_may_be_as_young_as_the_deployment_is_not_called_old() -> None:
    assert judge_containers([up("About a minute")], 58.0)[0] is True
    assert judge_containers([up("2 minutes")], 58.0)[0] is False


# ── the images of the containers ───────────────────────────────────────────────


OLD, NEW, OLDER, THIRD = (f"sha256:{letter * 64}" for letter in "abcd")
UNKNOWN: tuple[str, ...] = ()


@each_row(
    ("now", "built", "before", "kept", "proof"),
    [
        ((NEW,), (NEW,), (OLD,), False, Proof.PROVEN),
        ((NEW, OLD), (NEW,), (OLD,), False, Proof.PENDING),  # it is being rolled out, or back
        ((OLD,), (NEW,), (OLD,), False, Proof.OLD),
        ((OLDER,), (NEW,), (OLD,), False, Proof.OLD),  # somebody has put it back
        ((THIRD,), (NEW,), (OLD,), False, Proof.PENDING),
        ((THIRD,), (NEW,), UNKNOWN, False, Proof.PENDING),
        ((OLD,), (OLD,), (OLD,), False, Proof.PROVEN),  # the build has changed nothing
        ((), (NEW,), (OLD,), False, Proof.UNTOLD),
        # the log names none
        ((NEW,), UNKNOWN, (OLD,), False, Proof.PROVEN),
        ((NEW, OLD), UNKNOWN, (OLD,), False, Proof.PENDING),
        ((OLD,), UNKNOWN, (OLD,), False, Proof.UNTOLD),
        ((OLDER,), UNKNOWN, (OLD,), False, Proof.UNTOLD),
        ((OLD,), UNKNOWN, (OLD,), True, Proof.OLD),
        ((THIRD,), UNKNOWN, (OLD,), True, Proof.PENDING),
        ((NEW,), UNKNOWN, UNKNOWN, False, Proof.UNTOLD),
    ],
)
def test_a_deployment_is_proven_by_its_own_image_alone(
    now: tuple[str, ...], built: tuple[str, ...], before: tuple[str, ...], kept: bool, proof: Proof
) -> None:
    assert judge_images(now, built, (*before, OLDER), before, kept=kept) is proof


def test_the_image_that_a_build_has_written_last_is_read_from_its_log() -> None:
    log = f"#7 writing image {OLD} done\n#9 writing image {NEW} 0.0s done\nDocker build completed"

    assert built_image(log) == NEW
    assert built_image("#9 exporting manifest sha256:1234") is None
