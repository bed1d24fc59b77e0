"""What Docker's words about containers mean for a deployment."""

import pytest

from bridge.core.health.containers import Container, judge_containers, least_age


def up(words: str, name: str = "web.1.a") -> Container:
    return Container(name, "running", f"Up {words}")


def exited(code: int, ago: str) -> Container:
    return Container("web.1.b", "exited", f"Exited ({code}) {ago} ago")


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Less than a second", 0),
        ("1 second", 1),
        ("59 seconds", 59),
        ("About a minute", 60),
        ("2 minutes", 120),
        ("About an hour", 3600),
        ("2 hours", 1.5 * 3600),
        ("2 days", 47.5 * 3600),
        ("3 weeks", 3 * 7 * 86400 - 1800),
        ("5 months", 5 * 30 * 86400 - 1800),
        ("2 years", 2 * 365 * 86400 - 1800),
        ("a while", None),
    ],
)
def test_the_least_age_that_words_can_mean(words: str, seconds: float | None) -> None:
    assert least_age(words) == seconds


@pytest.mark.parametrize(
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
