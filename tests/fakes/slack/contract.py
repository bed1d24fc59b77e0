"""Holds the fake against the contract of Slack's Web API.

Each argument that is sent, and each answer that is given, is checked with its schemas, so
neither the bridge nor the fake can drift from it unseen.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

FILE = Path(__file__).parents[2] / "fixtures" / "contracts" / "slack.json"

NOT_IN_IT = frozenset(
    {
        "usergroups.users.list",
        "conversations.history",
        "conversations.list",
        "conversations.replies",
    }
)
"""Methods that the bridge calls and the contract, a subset, does not have."""


BEYOND = frozenset(
    {"invalid_trigger_id", "hash_conflict", "invalid_blocks", "missing_scope", "thread_not_found"}
)
"""Errors that the contract, of 2021, is too old for."""


class Contract:
    """Checks calls; what breaks a rule is kept in `faults`."""

    def __init__(self, file: Path = FILE) -> None:
        self._document = json.loads(file.read_text())
        self._validators: dict[str, Any] = {}
        self.faults: list[str] = []
        self.seen: set[str] = set()

    def check(self, request: Any, method: str, args: dict[str, Any], answer: Any) -> None:
        """Note what is wrong with one call."""
        self.seen.add(method)
        path = self._document["paths"].get(f"/api/{method}")
        if path is None:
            if method not in NOT_IN_IT:
                self.faults.append(f"{method} is not in the contract")
            return
        operation = path.get(request.method.lower())
        if operation is None:
            self.faults.append(f"{method} is not sent with {request.method}")
            return
        given = {k: v for k, v in args.items() if k != "token"}
        if request.method == "POST":
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                self._valid(f"{method} body", content["application/json"]["schema"], given)
        else:
            known = {one["name"]: one for one in operation.get("parameters", ())}
            needed = {name for name, one in known.items() if one.get("required")} - {"token"}
            self.faults += [f"{method} lacks {name}" for name in sorted(needed - set(given))]
        answers = operation["responses"]["200"]["content"]["application/json"]
        self._valid(f"{method} answer", answers["schema"], answer)
        self._documented(method, answers["examples"], answer)

    def _documented(self, method: str, examples: dict[str, Any], answer: dict[str, Any]) -> None:
        """The fake says nothing that Slack's documentation does not know."""
        if not answer["ok"]:
            if answer["error"] not in BEYOND | set(examples):
                self.faults.append(f"{method} has no error {answer['error']}")
            return
        known = set().union(*(one["value"] for one in examples.values()))
        self.faults += [f"{method} answers no {name}" for name in sorted(set(answer) - known)]

    def _valid(self, what: str, schema: dict[str, Any], value: Any) -> None:
        if what not in self._validators:
            whole = schema | {"components": self._components}
            self._validators[what] = jsonschema_rs.validator_for(whole)
        for error in self._validators[what].iter_errors(value):
            self.faults.append(f"{what}: {error.message[:200]} at {list(error.instance_path)}")

    @cached_property
    def _components(self) -> Any:
        return self._document.get("components", {})
