"""What hosts send, in payloads and answers alike: only the fields and addresses that we use."""

import re

from pydantic import BaseModel, ConfigDict

from bridge.core.refs import normalise_url

LONGEST_URL = 2048

_WEB = re.compile(r"https?://[^\x00-\x20\x7f\s<>|\"]+").fullmatch


class Model(BaseModel):
    """The fields of a payload that we use; a host may add whatever it likes."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


def clone_urls(*urls: str | None) -> frozenset[str]:
    """The clone addresses that were sent, in one form."""
    return frozenset(normalise_url(url) for url in urls if url and len(url) <= LONGEST_URL)


def web_url(*urls: str | None) -> str | None:
    """The first that a browser may safely be sent to."""
    for url in urls:
        if url and len(url) <= LONGEST_URL and _WEB(url):
            return url
    return None
