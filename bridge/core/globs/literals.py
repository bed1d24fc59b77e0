"""Outlines of patterns that are not tame, read from their expressions.

Slower than reading the pattern itself, and right for any pattern at all.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from bridge.core.globs.anchors import MAX_TEXTS, Anchor, AnchorKind, Outline
from bridge.core.globs.graph import mirrored
from bridge.core.globs.syntax import (
    Alt,
    At,
    Chars,
    Group,
    Look,
    Node,
    Place,
    Repeat,
    Seq,
)

MAX_MEMBERS = 4  # of a class that is spelled out


class Lead(NamedTuple):
    """How all texts that fit begin.

    Attributes:
        whole: they do not only begin like that, they are that.
    """

    texts: tuple[str, ...]
    whole: bool


_UNKNOWN = Lead(("",), whole=False)
_NO_TEXT = Lead(("",), whole=True)


def outline_of(expression: Node) -> Outline:
    """Describe the pattern that has this expression."""
    match expression:
        case Seq((At(Place.START), Look(Seq((At(Place.START), body, At(Place.END))), _, True), *_)):
            return Outline(negated=True, anchor=_anchor(body))
        case Seq((At(Place.START), body, At(Place.END))):
            return Outline(negated=False, anchor=_anchor(body))
        case Chars(()):
            return Outline(negated=False, anchor=Anchor(AnchorKind.WHOLE, ()))
        case _:
            return Outline(negated=False, anchor=None)


def _anchor(body: Node) -> Anchor | None:
    starts = [_without_surrogates(text) for text in lead(body).texts]
    if all("/" in text for text in starts):
        return _made(AnchorKind.UNDER, [text.rpartition("/")[0] for text in starts])
    firsts = [text.partition("/")[0] for text in starts]
    if all(firsts):
        return _made(AnchorKind.STARTS, firsts)
    ends = [text[::-1].removesuffix("/") for text in lead(mirrored(body)).texts]
    extensions = [end.rpartition(".")[2] for end in ends if "." in end]
    if len(extensions) == len(ends) and not any(map(_unfit, extensions)):
        return _made(AnchorKind.EXTENSION, extensions)
    return None


def _made(kind: AnchorKind, texts: Sequence[str]) -> Anchor:
    return Anchor(kind, tuple(dict.fromkeys(texts)))


def _without_surrogates(text: str) -> str:
    """Cut before half a character: paths are looked up as text, not as units."""
    return next((text[:at] for at, char in enumerate(text) if _is_half(char)), text)


def _unfit(extension: str) -> bool:
    return "/" in extension or any(map(_is_half, extension))


def _is_half(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


def lead(node: Node) -> Lead:
    """Tell how the texts begin that `node` fits."""
    match node:
        case Chars(ranges) if 0 < sum(high - low + 1 for low, high in ranges) <= MAX_MEMBERS:
            units = [unit for low, high in ranges for unit in range(low, high + 1)]
            return Lead(tuple(map(chr, units)), whole=True)
        case Seq(parts):
            return _lead_of_row(parts)
        case Alt(options):
            leads = [lead(option) for option in options]
            texts = tuple(dict.fromkeys(text for one in leads for text in one.texts))
            whole = all(one.whole for one in leads)
            return Lead(texts, whole) if len(texts) <= MAX_TEXTS else _UNKNOWN
        case Repeat(body, 0, 1):
            texts, whole = lead(body)
            return Lead((*texts, ""), whole)
        case Repeat(body, least, _) if least:
            return Lead(lead(body).texts, whole=False)
        case Group(_, body):
            return lead(body)
        case Look() | At():
            return _NO_TEXT
        case _:
            return _UNKNOWN


def _lead_of_row(parts: tuple[Node, ...]) -> Lead:
    texts: tuple[str, ...] = ("",)
    for part in parts:
        following = lead(part)
        if len(texts) * len(following.texts) > MAX_TEXTS:
            return Lead(texts, whole=False)
        texts = tuple("".join(pair) for pair in product(texts, following.texts))
        if not following.whole:
            return Lead(texts, whole=False)
    return Lead(texts, whole=True)
