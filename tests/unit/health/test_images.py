"""What the images of an app's containers prove of a deployment."""

from bridge.core.health.containers import Proof, built_image, judge_images
from tests.worlds.rows import each_row

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
    now: tuple[str, ...],
    built: tuple[str, ...],
    before: tuple[str, ...],
    kept: bool,
    proof: Proof,
) -> None:
    assert judge_images(now, built, (*before, OLDER), before, kept=kept) is proof


def test_the_image_that_a_build_has_written_last_is_read_from_its_log() -> None:
    log = f"#7 writing image {OLD} done\n#9 writing image {NEW} 0.0s done\nDocker build completed"

    assert built_image(log) == NEW
    assert built_image("#9 exporting manifest sha256:1234") is None
