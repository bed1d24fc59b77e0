"""Settings: `bridge.yaml` and the environment → frozen models, read once.

The environment overrides the file, and both override what set-up has stored. Every setting has a
variable, `BRIDGE_<SECTION>_<NAME>` (or `BRIDGE_<NAME>` at the top), and every secret may come from
a file, `…_FILE`. An unknown key or variable is an error that names the nearest known one.
pydantic-settings lacks `*_FILE` and accepts unknown variables, so the bridge reads them itself;
pydantic checks them.

`reading` is the entry point. `root` combines all sections: those that hosts, backends and chats
own, and those in `sections`, `rules`, `gates` and `people`.
"""

from bridge.ports.settings import listening_address
from bridge.settings.people import identities_of
from bridge.settings.reading import (
    BY_SETUP,
    PLAIN_VARIABLES,
    PREFIX,
    fields,
    is_secret,
    origins_of,
    read_settings,
    secrets_of,
    set_there,
    variables,
)
from bridge.settings.root import (
    KeyPath,
    Process,
    Settings,
    access_of,
    book_of,
    channels_of,
    policy_of,
    preview_channels_of,
)

__all__ = [
    "BY_SETUP",
    "PLAIN_VARIABLES",
    "PREFIX",
    "KeyPath",
    "Process",
    "Settings",
    "access_of",
    "book_of",
    "channels_of",
    "fields",
    "identities_of",
    "is_secret",
    "listening_address",
    "origins_of",
    "policy_of",
    "preview_channels_of",
    "read_settings",
    "secrets_of",
    "set_there",
    "variables",
]
