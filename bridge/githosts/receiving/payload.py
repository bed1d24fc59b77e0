"""What every Git host needs to read a webhook that anybody on the internet may have sent."""

import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import Field, StringConstraints, ValidationError
from pydantic_core import from_json

from bridge.core.errors import MalformedPayload, Rejected
from bridge.core.events import Ignored, Ref
from bridge.core.misfits import misfits
from bridge.githosts.models import Model
from bridge.ports.githosts import APART, Body

LIMIT = 64 * 1024 * 1024
"""Bytes of JSON that are read at most; hosts send 25 MB at most, self-managed ones can be set."""

LARGE = 256 * 1024
"""Bytes of JSON from which on it is read so that the event loop goes on meanwhile; what is
larger than `APART` is read in another process, where nobody waits."""

MOST_VALUES = 1_000_000
"""Values in one body, told by its commas. The largest pushes that hosts send list half of it; two
million keys would need 300 MB."""

_PIECE = 65536

_NUL = b"\\u0000"
_PLAIN = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?").fullmatch

Model_ = TypeVar("Model_", bound=Model)
Read = TypeVar("Read")


_SHA = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"
_FULL_REF = r"^refs/[^\x00-\x20\x7f~^:?*\[\\]+$"
_FORMS = {
    _SHA: "a whole commit id (40 or 64 digits of 0-9 a-f)",
    _FULL_REF: "the full name of a branch or tag (refs/heads/… or refs/tags/…)",
}

Sha = Annotated[str, StringConstraints(pattern=_SHA)]
"""A whole object id, of SHA-1 or SHA-256 repositories."""

FullRef = Annotated[str, StringConstraints(pattern=_FULL_REF, max_length=4096)]
"""A ref with none of the characters that git forbids in it (git-check-ref-format)."""

Id = Annotated[int, Field(ge=0, lt=2**63)]
"""A host's numeric id."""


def live(kind: str, given: Sequence[str]) -> Sequence[str]:
    """The live secrets of a kind, as given; raises ValueError where one is empty."""
    if isinstance(given, str):  # a text is a sequence too: of secrets one letter long
        raise ValueError(f"{kind}s must be a list of texts, not one text")  # noqa: TRY004 - told as what is wrong with a setting, as below
    if not all(secret.strip() for secret in given):
        raise ValueError(f"a {kind} is empty: whoever knows the address could then deploy")
    return given


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header's value, None when it was not sent.

    Raises:
        Rejected: it is empty, long, or not printable ASCII.
    """
    value = headers.get(name)
    if value is None or _PLAIN(value):
        return value
    raise Rejected(f"{name} must be 1 to 200 printable ASCII characters, not {len(value)} of any")


def required(headers: Mapping[str, str], name: str) -> str:
    """A header's value; Rejected when it was not sent, too."""
    if (value := header(headers, name)) is None:
        raise Rejected(f"{name} is missing; Git hosts send it with every webhook")
    return value


def as_bytes(text: str) -> bytes:
    """The bytes that a header's text stood for; never raises, whatever a sender sent.

    `hmac.compare_digest` refuses text that is not ASCII, so secrets are compared as bytes.
    """
    return text.encode(errors="surrogatepass")


def same(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Whether `given` is one of `wanted`, in constant time for each."""
    return any(hmac.compare_digest(given, one) for one in wanted)


def load(body: Body, what: str) -> Any:
    """JSON, safely: bounded in size and depth, finite numbers, UTF-8.

    Raises:
        MalformedPayload: it is not; the message tells where, never what stands there.
    """
    if len(body) > LIMIT:
        raise MalformedPayload(f"{what}: {len(body)} bytes, more than {LIMIT}")
    if len(body) >= LARGE and (values := body.count(b",")) > MOST_VALUES:
        raise MalformedPayload(f"{what}: about {values} values, at most {MOST_VALUES} are read")
    if _NUL in body:
        body = b"".join(without_nul([body]))
    try:
        if LARGE <= len(body) <= APART and b"\\ud" not in body and b"\\uD" not in body:
            return _load_large(body)
        return from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload(f"{what} is not JSON: {str(error)[:200]}") from None


def without_nul(pieces: Iterable[Body]) -> Iterator[Body]:
    """Replace NUL in the text of a body, which no database keeps and no name in git holds.

    In its place stands the sign for what can't be shown. A backslash that is escaped itself
    begins no escape, so pairs of them are put aside meanwhile, as NUL: a body that holds that as
    it is is not JSON anyway. A pattern would need a gigabyte for a body of backslashes.
    """
    cut = b""
    for piece in pieces:
        if b"\0" in piece or (not cut and b"\\" not in piece):
            yield cut + piece
            cut = b""
            continue
        aside = (cut + piece).replace(b"\\\\", b"\0\0")
        start = aside.rfind(b"\\", -len(_NUL) + 1)
        aside, cut = (aside, b"") if start == -1 else (aside[:start], aside[start:])
        cut = cut.replace(b"\0\0", b"\\\\")
        yield aside.replace(_NUL, b"\\ufffd").replace(b"\0\0", b"\\\\")
    yield cut


def _load_large(body: Body) -> Any:
    """As long as `from_json` takes, 100 ms for 12 MB, but others go on at every object.

    Unlike that it takes escapes that are half a character, so it gets no body that has any.
    It needs the body as text meanwhile: up to four times its bytes, where emoji are in it.
    """
    return json.loads(body.decode(), object_hook=let_others_go_on, parse_constant=_not_finite)


def _not_finite(name: str) -> Any:
    raise ValueError(f"{name} is no finite number")


def let_others_go_on(read: Read) -> Read:
    """Give back what was read, as it is: called back by C code that reads much.

    That holds Python's lock to its end, also in a thread, so the event loop would stand still;
    a call of a function in Python is where the lock is given to whoever waits for it.
    """
    return read


def form_field(body: Body, name: str, what: str) -> Body:
    """The value of a form's one field.

    Raises:
        MalformedPayload: the form has another field first.
    """
    found, _, value = body.partition(b"&")[0].partition(b"=")
    if found != name.encode():
        raise MalformedPayload(f"{what}: a form must have the one field `{name}`")
    return _unquoted(value.replace(b"+", b" "))


def _unquoted(value: Body) -> bytes:
    """Percent escapes decoded, piece by piece: 25 MB at once need 1.5 GB and far more time."""
    decoded, start = bytearray(), 0
    while start < len(value):
        end = start + _PIECE
        if end < len(value) and (cut := value.rfind(b"%", end - 2, end)) != -1:
            end = cut  # an escape stays whole
        decoded += unquote_to_bytes(value[start:end])
        start = end
    return bytes(decoded)


def check(model: type[Model_], data: Any, what: str) -> Model_:
    """The fields that we use of loaded JSON.

    Raises:
        MalformedPayload: naming the first bad fields, never their values.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # not chained: the text of a ValidationError quotes the body
        raise MalformedPayload(f"{what}: {misfits(error, data, _FORMS)}") from None


def branch_or_tag(ref: str) -> Ref | Ignored:
    """What a push is of; hosts have refs of their own beside these, which nothing deploys."""
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return Ignored(f"{ref[:200]} is neither a branch nor a tag")
    return Ref.parse(ref)


def nothing(sha: str) -> bool:
    """Whether an object id says "there is none", in SHA-1 and SHA-256 repositories."""
    return not sha.strip("0")
