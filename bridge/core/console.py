"""The addresses of the console's pages, for links from elsewhere."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class ConsolePages:
    """The console's pages, as others reach them.

    Attributes:
        address: the bridge's public address; "" if it has none, or serves no console.
    """

    address: str = ""

    def deployment(self, id_: str) -> str | None:
        """Return a deployment's page; None if there is none."""
        return self._page(f"deployments/{quote(id_, safe='')}")

    def delivery(self, seq: int) -> str | None:
        """Return a delivery's page; None if there is none."""
        return self._page(f"deliveries/{seq}")

    def _page(self, path: str) -> str | None:
        return f"{self.address.rstrip('/')}/console/{path}" if self.address else None


NO_CONSOLE = ConsolePages()
