"""Long lists of names, written as text."""


def words(text: str) -> tuple[str, ...]:
    """`"a b"` as `("a", "b")`: thirty names stay three lines."""
    return tuple(text.split())
