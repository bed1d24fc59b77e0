"""The embedded backend as the bridge knows it."""

from bridge.backends.embedded.adapter.deploying import Deploying
from bridge.backends.embedded.adapter.making import Making


class EmbeddedBackend(Deploying, Making):
    """`Backend` and `Configures` over a started `EmbeddedServer`, which it does not own."""
