"""Read webhooks that anyone on the internet may have sent: shared by all Git hosts."""

import base64
import binascii
import contextlib
import ctypes
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import from_json

from bridge.core.errors import BadSignature, MalformedPayload, Rejected, UnknownSecret
from bridge.core.events import Commit, Ignored, Ref, RefKind
from bridge.core.large_json import LARGE, let_others_go_on, load_large, must_be_usual
from bridge.core.refs import normalise_url
from bridge.core.validation_errors import explained
from bridge.ports.githosts import APART, Body

LONGEST_URL = 2048

LONGEST_EMAIL = 320
"""Characters: 64 before the sign, and 255 after it (RFC 3696); a longer one is nobody's."""

_WEB = re.compile(r"https?://[^\x00-\x20\x7f\s<>|\"]+").fullmatch


class Model(BaseModel):
    """The fields of a payload that we use; hosts may add others."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


def clone_urls(*urls: str | None) -> frozenset[str]:
    """Return the clone addresses that were sent, normalised."""
    return frozenset(normalise_url(url) for url in urls if url and len(url) <= LONGEST_URL)


def web_url(*urls: str | None) -> str | None:
    """Return the first address that is safe to open in a browser."""
    for url in urls:
        if url and len(url) <= LONGEST_URL and _WEB(url):
            return url
    return None


# ── Read webhooks that anyone on the internet may have sent: shared by all Git hosts ──────────────

LIMIT = 64 * 1024 * 1024
"""The most bytes of JSON to read; hosts send at most 25 MB, self-managed ones as configured."""

_PIECE = 65536

_NUL = b"\\u0000"
_PLAIN = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?").fullmatch

Model_ = TypeVar("Model_", bound=Model)


_SHA = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"
_FULL_REF = r"^refs/[^\x00-\x20\x7f~^:?*\[\\]+$"
_FORMS = {
    _SHA: "a whole commit id (40 or 64 digits of 0-9 a-f)",
    _FULL_REF: "the full name of a branch or tag (refs/heads/… or refs/tags/…)",
}

_PLAIN_FIELDS = ("ref",)
"""Fields whose values errors may show: anyone who may see a push knows its ref."""

Sha = Annotated[str, StringConstraints(pattern=_SHA)]
"""A whole object id, of SHA-1 or SHA-256 repositories."""

FullRef = Annotated[str, StringConstraints(pattern=_FULL_REF, max_length=4096)]
"""A ref with none of the characters that git forbids in it (git-check-ref-format)."""

Name = Annotated[str, StringConstraints(max_length=4096)]
"""A repository with its owner or groups, or a branch; hosts permit far less."""

Id = Annotated[int, Field(ge=0, lt=2**63)]
"""A host's numeric id."""


def id_of(sent: Any) -> str:
    """Return a host's id as text; "" if none was sent, or something else."""
    return str(sent) if type(sent) is int else ""


def live(kind: str, given: Sequence[str]) -> Sequence[str]:
    """Return the live secrets of a kind; raise ValueError if one is empty."""
    if isinstance(given, str):  # a string is also a sequence, of one-letter secrets
        raise ValueError(f"{kind}s must be a list of texts, not one text")  # noqa: TRY004 - reported as a faulty setting, as below
    if not all(secret.strip() for secret in given):
        raise ValueError(f"a {kind} is empty: anyone who knows the address could then deploy")
    return given


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header's value, or None if it was not sent.

    Raises:
        Rejected: it is empty, long, or not printable ASCII.
    """
    value = headers.get(name)
    if value is None or _PLAIN(value):
        return value
    raise Rejected(f"{name} must be 1 to 200 printable ASCII characters, not {len(value)} of any")


def required(headers: Mapping[str, str], name: str) -> str:
    """Return a header's value; also raise Rejected if it was not sent."""
    if (value := header(headers, name)) is None:
        raise Rejected(f"{name} is missing; Git hosts send it with every webhook")
    return value


def as_bytes(text: str) -> bytes:
    """Return the bytes of a header's text; never raise, whatever was sent.

    `hmac.compare_digest` refuses text that is not ASCII, so secrets are compared as bytes.
    """
    return text.encode(errors="surrogatepass")


def same(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Return whether `given` is one of `wanted`, in constant time for each."""
    return any(hmac.compare_digest(given, secret) for secret in wanted)


def load(body: Body, what: str) -> Any:
    """Parse JSON safely: bounded in size and depth, finite numbers, UTF-8.

    Raises:
        MalformedPayload: it is not; the message says where, and never quotes the text.
    """
    if len(body) > LIMIT:
        raise MalformedPayload(f"{what}: {len(body)} bytes, more than {LIMIT}")
    if len(body) >= LARGE:
        must_be_usual(body, what)
    if _NUL in body:
        body = b"".join(without_nul([body]))
    try:
        if LARGE <= len(body) <= APART:
            return load_large(body)
        return from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        if half := _half_a_character(body):
            raise MalformedPayload(
                f"{what} is not JSON in UTF-8: `{half}` in it is half a character (a surrogate"
                " without its other half)"
            ) from None
        raise MalformedPayload(f"{what} is not JSON: {str(error)[:200]}") from None


_SURROGATE = re.compile(rb"\\u(?:[dD][89abAB]|([dD][c-fC-F]))[0-9a-fA-F]{2}")


def _half_a_character(body: Body) -> str:
    """Return the escape of a surrogate without its other half; "" if there is none."""
    high: re.Match[bytes] | None = None
    for found in _SURROGATE.finditer(bytes(body).replace(b"\\\\", b"\0\0")):
        follows = high is not None and high.end() == found.start()
        if found[1] is None:
            if high is not None:
                return high[0].decode()
            high = found
        elif follows:
            high = None
        else:
            return (high or found)[0].decode()
    return high[0].decode() if high else ""


def without_nul(pieces: Iterable[Body]) -> Iterator[Body]:
    """Replace NUL in the text of a body: no database stores it, and no name in git contains it.

    The replacement character takes its place. An escaped backslash begins no escape, so pairs of
    backslashes are temporarily replaced by NUL, which no valid JSON contains. A pattern would need
    a gigabyte for a body of backslashes.
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


def give_back() -> None:
    """Have glibc give back what it keeps of earlier bodies; other allocators know no such call."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def form_field(body: Body, name: str, what: str) -> Body:
    """Return the value of a form's one field.

    Raises:
        MalformedPayload: the first field is another one.
    """
    found, _, value = body.partition(b"&")[0].partition(b"=")
    if found != name.encode():
        raise MalformedPayload(f"{what}: a form must have the one field `{name}`")
    return _unquoted(value.replace(b"+", b" "))


def _unquoted(value: Body) -> bytes:
    """Decode percent escapes piece by piece: 25 MB at once would need 1.5 GB and far more time."""
    decoded, start = bytearray(), 0
    while start < len(value):
        end = start + _PIECE
        if end < len(value) and (cut := value.rfind(b"%", end - 2, end)) != -1:
            end = cut  # don't split an escape
        decoded += unquote_to_bytes(value[start:end])
        start = end
    return bytes(decoded)


def check(model: type[Model_], data: Any, what: str) -> Model_:
    """Return the fields of loaded JSON that we use.

    Raises:
        MalformedPayload: names the first bad fields, and no value except a ref.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # not chained: a ValidationError quotes the body
        raise MalformedPayload(f"{what}: {explained(error, data, _FORMS, _PLAIN_FIELDS)}") from None


def branch_or_tag(ref: str) -> Ref | Ignored:
    """Return the ref of a push, or Ignored for a host's internal one, which never deploys."""
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return Ignored(f"{ref[:200]} is neither a branch nor a tag")
    return Ref.parse(ref)


def nothing(sha: str) -> bool:
    """Return whether an object id is all zeros: no object, in SHA-1 and SHA-256 repositories."""
    return not sha.strip("0")


# ── The commits that a push lists, in the form that hosts share ───────────────────────────────────

# fail fast: errors for a million bad entries would need gigabytes
Paths = Annotated[list[str], Field(fail_fast=True)]


class Author(Model):
    """Who wrote a commit."""

    name: str | None = None
    username: str | None = None
    email: str | None = None


def address(email: str | None) -> str:
    """Return an email address of bounded length; "" for none."""
    return (email or "")[:LONGEST_EMAIL]


class ListedCommit(Model):
    """One commit of a push, and the files that it touched, if the host lists them."""

    id: Sha
    message: str | None = None
    url: str | None = None
    author: Author | None = None
    committer: Author | None = None
    added: Paths | None = None
    removed: Paths | None = None
    modified: Paths | None = None

    def files(self) -> list[str] | None:
        """Return every file that it touched; None if a list is missing."""
        if self.added is None or self.removed is None or self.modified is None:
            return None
        return [*self.added, *self.removed, *self.modified]

    def meaning(self, sha: str) -> Commit:
        """Return the commit `sha` with these details; its link only if it is that commit's."""
        author = self.author or Author()
        return Commit(
            sha=sha,
            message=self.message or "",
            author=author.name or author.username or "",
            url=web_url(self.url) if sha == self.id else None,
            email=self.author_email if sha == self.id else "",
        )

    @property
    def author_email(self) -> str:
        """The address of its author; "" if the host does not tell it."""
        return address((self.author or Author()).email)


Commits = Annotated[
    list[Annotated[ListedCommit, AfterValidator(let_others_go_on)]], Field(fail_fast=True)
]


def find(commits: Sequence[ListedCommit], sha: str) -> ListedCommit | None:
    """Return the listed commit with that id; search from the end, where heads are."""
    return next((commit for commit in reversed(commits) if commit.id == sha), None)


def unlisted(ref: Ref, *, deleted: bool, created: bool) -> str:
    """Return why a push lists no files; "" if it does."""
    if deleted:
        return f"the {ref.kind} was deleted"
    if ref.kind is RefKind.TAG:
        return "a tag push lists no files"
    return "a new branch has nothing to compare with" if created else ""


def files_of(
    title: str, commits: Sequence[ListedCommit], *, most: int | None = None
) -> tuple[tuple[str, ...] | None, str]:
    """Return the files of some commits and "", or None and why they are unknown.

    Args:
        title: the host's name for people.
        most: the most that it lists of a commit; then a commit without files may be too large.
    """
    listed: list[list[str]] = []
    for commit in commits:
        files, which = commit.files(), commit.id[:7]
        if files is None:
            return None, f"{title} listed no files for commit {which}"
        if most is not None and not files:
            return None, f"{title} listed no files for commit {which}; it may be too large"
        if most is not None and len(files) >= most:
            return None, f"{title} lists no more than {most} files of a commit"
        listed.append(files)
    return union(listed), ""


def union(files: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return every file once, sorted.

    Hosts list the files of a commit sorted, which makes sorting quick. A set's order would take
    fifteen times as long and block all other threads, and a set or dict of half a million paths
    another 40 MB.
    """
    every = [path for some in files for path in some]
    every.sort()
    return tuple(path for path, _ in groupby(every))


LONGEST_TIME = 64


def seconds_of(sent: Any) -> float | None:
    """Return a host's time in seconds since 1970; None if it is none.

    GitLab's webhooks write `2025-08-06 01:21:37 UTC`, all others ISO 8601.
    """
    if not isinstance(sent, str) or len(sent) > LONGEST_TIME:
        return None
    try:
        found = datetime.fromisoformat(sent.removesuffix(" UTC"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def touches(changes: Mapping[str, Any] | None, fields: Iterable[str]) -> bool:
    """Return whether a webhook's `changes` name any of the fields, or are missing."""
    return changes is None or any(field in changes for field in fields)


# ── Webhooks signed by the Standard Webhooks specification ────────────────────────────────────────

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_ID = re.compile(r"[!-~]{1,200}").fullmatch
_TIMESTAMP = re.compile(r"[0-9]{1,12}").fullmatch
_SIGNATURE = re.compile(r"(?:^| )v1,[A-Za-z0-9+/]{43}=(?: |$)").search


def key_of(token: str) -> bytes:
    """Return the key of a signing token, `whsec_` and base64, with or without padding.

    Raises:
        ValueError: it is malformed; the message does not contain it.
    """
    encoded = token.strip().removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not token.strip().startswith("whsec_"):
        raise ValueError("a signing token must be whsec_ and base64, as the Git host shows it")
    return key


def proof_of(
    headers: Mapping[str, str], now: float, tolerance: float, *, since: str
) -> tuple[str, str, str]:
    """Return id, timestamp and signatures as sent, after checking their form and age.

    Args:
        since: the host and its first version that signs, for people.

    Raises:
        BadSignature: form or age is wrong; the body is not looked at.
    """
    sent_id, timestamp, signatures = (headers.get(name, "") for name in _HEADERS)
    if not (sent_id and timestamp and signatures):
        raise BadSignature(
            f"{', '.join(_HEADERS)} must all be present, since a signing token is set here: "
            f"set it on the webhook too ({since} or newer)"
        )
    if not (_ID(sent_id) and _TIMESTAMP(timestamp) and _SIGNATURE(signatures)):
        raise BadSignature(f"one of {', '.join(_HEADERS)} has the wrong form")
    if abs(age := now - int(timestamp)) > tolerance:
        raise BadSignature(
            f"webhook-timestamp is {age:.0f} seconds old, allowed are {tolerance:.0f} "
            "either way: is a clock wrong?"
        )
    return sent_id, timestamp, signatures


def verify(proof: tuple[str, ...], body: Body, keys: Iterable[bytes]) -> None:
    """Check that one of the signatures is over these very bytes; raises BadSignature."""
    sent_id, timestamp, signatures = proof
    signed = f"{sent_id}.{timestamp}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    if not any(same(as_bytes(given), wanted) for given in signatures.split(" ")):
        raise UnknownSecret(
            "webhook-signature does not fit the body: is the webhook's signing token one of ours?"
        )
