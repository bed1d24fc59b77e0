"""Dokploy as a deploy backend, over its HTTP API."""

from bridge.backends.dokploy.configuring import Configuring
from bridge.backends.dokploy.deploying import Deploying


class Dokploy(Deploying, Configuring):
    """One Dokploy server; implements `Backend` and `Configures`.

    Reads are tried again by themselves, since that is always safe. What changes something
    is sent exactly once: whether to ask again is for the caller to decide.

    Every method but `healthy` and `close` raises

        Refused: the server said no; `words` are its own, fit to be shown. `Forbidden` where
            the key lacks a permission.
        Unreachable: nothing was asked, or nothing was done; reads raise it for every
            answer that did not come whole. `DatabaseAway` and `KeyRefused` say why it
            does nothing for any key, or for ours.
        Unanswered: only from what changes something: it was sent, and whether it was
            done is not known.

    Sources: application-api.txt (the document), facts.md (how v0.30.2 really behaves).
    """
