"""Names of commit statuses and environments: what hosts take, and never one for two apps."""

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.githosts.feedback.statuses import contexts, environments
from tests.fakes.journey import app

TAKEN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_/.")

names = st.text(max_size=300) | st.sampled_from(["web", "Web", "wEB", "web ", "we/b", "w" * 260])
labels = st.dictionaries(st.text(min_size=1, max_size=8), names, max_size=6)


def apart(found: dict[str, str]) -> bool:
    return len({name.casefold() for name in found.values()}) == len(found)


def test_ordinary_names_are_as_they_are() -> None:
    assert contexts({"a": "shop/web"}) == {"a": "dokploy/shop/web"}
    staging = {"a": app(), "b": app(environment="staging")}
    found = environments({"a": "shop/web", "b": "-", "c": "shop/gone"}, staging)
    assert found == {
        "a": "production/shop/web",
        "b": "staging/shop/web",
        "c": "production/shop/gone",
    }


def test_apps_whose_names_a_host_would_take_for_one_are_told_apart() -> None:
    found = contexts({"a": "shop/\U0001f600", "b": "shop/\U0001f389", "c": "shop/web"})

    assert found["a"] != found["b"]
    assert found["c"] == "dokploy/shop/web"
    assert apart(contexts({"a": "shop/web", "b": "shop/Web"}))
    assert apart(contexts({"a": "x" * 300 + "a", "b": "x" * 300 + "b"}))


@given(labels)
@example({"a": "web", "b": "web-ca978112", "c": "Web"})  # one is called like another with its hash
def test_no_two_apps_share_a_status(given_: dict[str, str]) -> None:
    found = contexts(given_)

    assert apart(found)
    for name in found.values():
        assert name.startswith("dokploy/")
        assert len(name) <= 255
        assert name.isprintable()
        assert max(map(ord, name)) < 0x10000


@given(labels, st.dictionaries(st.text(min_size=1, max_size=8), names, max_size=6))
def test_no_two_apps_share_an_environment(given_: dict[str, str], known: dict[str, str]) -> None:
    apps = {id_: app(environment=name, name=name, project=name) for id_, name in known.items()}
    found = environments(given_, apps)

    assert apart(found)
    for name in found.values():
        assert 0 < len(name) <= 255
        assert set(name) <= TAKEN
        assert name == name.strip("/ ")
