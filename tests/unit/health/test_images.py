"""What the images of an app's containers prove of a deployment."""

from bridge.core.health.images import Proof, built_image, judge_images
from tests.worlds.rows import each_row

OLD, NEW, OTHER = (f"sha256:{letter * 64}" for letter in "abc")


@each_row(
    ("now", "before", "built", "proof"),
    [
        ((NEW,), (OLD,), NEW, Proof.PROVEN),
        ((NEW, OLD), (OLD,), NEW, Proof.PROVEN),  # it is being rolled out
        ((OLD,), (OLD,), NEW, Proof.OLD),
        ((OTHER,), None, NEW, Proof.OLD),
        ((OLD,), (OLD,), OLD, Proof.PROVEN),  # the build has changed nothing
        ((NEW,), (OLD,), None, Proof.PROVEN),  # the log does not name it
        ((OLD,), (OLD,), None, Proof.UNTOLD),
        ((NEW,), None, None, Proof.UNTOLD),
        ((NEW,), (), None, Proof.UNTOLD),
        (None, (OLD,), NEW, Proof.UNTOLD),
        ((), (OLD,), NEW, Proof.UNTOLD),
    ],
)
def test_only_another_image_than_the_built_one_contradicts_a_record(
    now: tuple[str, ...] | None, before: tuple[str, ...] | None, built: str | None, proof: Proof
) -> None:
    assert judge_images(now, before, built) is proof


def test_the_image_that_a_build_has_written_last_is_read_from_its_log() -> None:
    log = f"#7 writing image {OLD} done\n#9 writing image {NEW} 0.0s done\nDocker build completed"

    assert built_image(log) == NEW
    assert built_image("#9 exporting manifest sha256:1234") is None
