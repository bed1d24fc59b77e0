"""The parts that procedures work with."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.embedded.building.logs import Growth
from bridge.embedded.places import Clock, Places
from bridge.embedded.queue import Engine
from bridge.embedded.records.catalog import Catalog
from bridge.embedded.records.database import Record
from bridge.embedded.records.history import History


@dataclass(frozen=True, slots=True)
class Parts:
    """What makes up a running embedded backend.

    Attributes:
        self_hosted_cancel: answer `cancelDeployment` as a self-hosted Dokploy does: with 400.
        search_path: where programs are looked up, as in PATH; None means our own PATH.
        public_sites: where people reach the sites; None where nobody has said.
    """

    catalog: Catalog
    history: History
    engine: Engine
    places: Places
    growth: Growth
    clock: Clock
    new_id: Callable[[], str]
    self_hosted_cancel: bool = False
    search_path: str | None = None
    public_sites: str | None = None

    def public_site(self, application: Record) -> str | None:
        """Where people see an application, if it is a static site and that is known."""
        if self.public_sites is None or application["buildType"] != "static":
            return None
        return f"{self.public_sites}/apps/{application['appName']}"
