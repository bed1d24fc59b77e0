"""The floor plan of the design, held over the imports: arrows only point down (`MAY_IMPORT`).

Every import counts, also those inside functions and for type checkers only. No files import
each other in a circle, nor do folders, and none is so long that nobody finds anything in it.
"""

import ast
import re
from collections.abc import Container, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import bridge.core
from tests.worlds.rows import each_row
from tests.worlds.sources import PACKAGE, imported, modules, parsed

TESTS = PACKAGE.parent / "tests"
ADAPTERS = {"githosts", "backends", "chats", "storage", "durable", "outbound"}
BELOW_APP = ADAPTERS | {
    "console", "web", "operations", "views", "pipeline", "messages", "ports", "core", "settings",
    "listening", "connecting", "embedded", "oauth",
}  # fmt: skip


MAY_IMPORT = {
    "__main__": {"cli"},
    "cli": {"app"} | BELOW_APP,
    "app": BELOW_APP,
    "settings": {"githosts", "backends", "chats", "oauth", "ports", "core"},  # their sections
    "console": {"web", "operations", "pipeline", "listening", "ports", "views", "core"},
    "web": {"pipeline", "listening", "ports", "core"},
    "operations": {"pipeline", "ports", "views", "core"},
    "pipeline": {"ports", "core"},
    **{adapter: {"connecting", "ports", "core"} for adapter in ADAPTERS},
    "githosts": {"oauth", "connecting", "messages", "ports", "views", "core"},
    "chats": {"oauth", "connecting", "messages", "ports", "views", "core"},
    "messages": {"ports", "views", "core"},
    "oauth": {"connecting", "ports", "core"},  # through which people sign in
    "embedded": {"listening", "connecting", "core"},
    "listening": set[str](),
    "connecting": set[str](),
    "ports": {"views", "core"},
    "views": {"core"},
    "core": set[str](),
}
"""Which layers each may import besides itself; only `cli` and `app` see the settings."""

STARTS_EMBEDDED = {
    "bridge.app.providers": "starts the server",
    "bridge.cli.new_site": "asks a repository as the server will clone it",
}
"""The modules that may import the embedded backend, and what for."""

EMBEDDED_SEES = (
    "bridge.core.errors.",
    "bridge.core.masking.",  # what hides secrets, in one place
    "bridge.core.variables.",  # the language of .env: one reader for both sides
)
"""All of `core` that the embedded backend may import."""

READING = "apps catalog freshness interpret changes"
STEPS = {
    "deciding": {
        "hooks": "audit hook_places",
        "deliveries": f"decide late_decisions {READING}",
        "late_decisions": f"decide {READING}",
        "decide": READING,
        "arrivals": "apps interpret",
        "what_if": "decide",
        "catchup": "background housekeeping reconcile catalog",
        "probe": "background catalog",
        "freshness": "background catalog",
        "catalog": "background apps",
        "changes": "background",
    },
    "gates": {
        "gates": "background brought deciding.catalog deciding.reconcile",
        "brought": "background deciding.changes deciding.reconcile",
        "commands": "locks",
        "locks": "background deciding.reconcile",
        "ci": "background",
        "what_if": "deciding.reconcile",
    },
    "deploying": {
        "deployments": "auto_rollback request outcome pinning polling serving",
        "watch": "auto_rollback background outcome serving verify",
        "verify": "built outcome serving",
        "serving": "background housekeeping polling",
        "pinning": "configure deciding.reconcile",
        "hosting": "adopt pinning deciding.hook_places deciding.hooks deciding.reconcile",
        "rollback_plan": "serving gates.gates",
        "auto_rollback": "outcome rollback_plan serving",
        "request": "auto_rollback outcome polling",
        "cancel": "polling",
        "adopt": "configure",
        "config_drafts": "configure",
        "outcome": "built polling",
    },
    "previews": {
        "previews": "apps background deciding.catalog",
        "apps": "deploying.pinning",
        "sweep": "background previews deciding.catalog deciding.reconcile",
        "commands": "gates.commands",
        "what_if": "previews",
    },
    "feedback": {
        "outbox": "rate_limit",
        "lookup": "deciding.interpret",
    },
    "": {"housekeeping": "background"},
}
"""A step imports only later steps, and helpers: what stands here, or nothing.

Upstream it reaches through the stores.
Names without a folder are of steps beside it, or on top of the five folders.
"""


PROVIDERS = {
    layer: {one.parent.name for one in (PACKAGE / layer).glob("*/__init__.py")}
    - {"base", "feedback"}  # what all Git hosts share
    for layer in ("githosts", "backends", "chats")
}
"""The folders that own themselves; a map in each of these layers leads to their records."""

MAPS = {
    "githosts": {"HOSTS"}, "backends": {"BACKENDS", "EMBEDDED"}, "oauth": {"OIDC"},
    "chats": {"CHATS", "asking_hosts"},
}  # fmt: skip
"""What the maps give."""

LONGEST, LONGEST_TEST = 480, 600
"""Lines of a file; most have far fewer, and one idea each."""

PURE = {
    "__future__", "abc", "array", "base64", "bisect", "collections", "contextlib", "contextvars",
    "dataclasses", "datetime", "difflib", "enum", "errno", "fnmatch", "fractions", "functools",
    "hashlib", "graphlib", "heapq", "hmac", "html", "ipaddress", "itertools", "json", "math",
    "operator", "pydantic", "pydantic_core.from_json", "re", "semver", "string",
    "textwrap", "threading", "types", "typing", "unicodedata", "urllib.parse", "zoneinfo",
}  # fmt: skip
"""What `core` may import: nothing that knows the time, chance, the disk, the network or a log."""

ACTING_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
ACTING_METHODS = {"now", "utcnow", "today"}


def against_the_plan(module: str, source: str) -> Iterator[str]:
    """Every import of a module that the floor plan does not have."""
    for target in imported(source):
        if target.startswith("."):
            yield f"{module} imports {target}: write it whole"
        elif target.startswith("bridge.") and (why := _forbidden(module, target)):
            yield f"{module} imports {target}: {why}"


def _forbidden(module: str, target: str) -> str | None:
    layer, below = (_part(name, 1) for name in (module, target))
    if target == "bridge.__version__":
        return None
    if layer not in MAY_IMPORT:
        return f"{layer} has no place in the floor plan"
    return _across(module, target) if below != layer else _within(module, target)


def _across(module: str, target: str) -> str | None:
    """Why a layer may not import this from another layer."""
    layer, below, part = _part(module, 1), _part(target, 1), _part(target, 2)
    if layer == "embedded" and below == "core" and not target.startswith(EMBEDDED_SEES):
        return "embedded is a house of its own, which sees little of core"
    if below == "embedded" and module not in STARTS_EMBEDDED:
        return "the embedded backend is reached over HTTP"
    if part in PROVIDERS.get(below, ()):
        return "ask its record, in the map"
    if layer == "settings" and below in MAPS and part not in MAPS[below]:
        return "settings see the maps alone"
    return None if below in MAY_IMPORT[layer] else f"{layer} does not see {below}"


def _within(module: str, target: str) -> str | None:
    """Why a part of a layer may not import this from the same layer."""
    layer = _part(module, 1)
    step, later = (_part(name, 2) for name in (module, target))
    if layer == "pipeline":
        return _out_of_order(module, target)
    if step in (later, "") or layer not in {"githosts", "backends", "chats"}:
        return None
    if layer in {"githosts", "chats"} and later not in PROVIDERS[layer]:
        return None  # what all hosts, or all chats, use
    return "adapters do not know their siblings"


def _out_of_order(module: str, target: str) -> str | None:
    (folder, step), (beside, later) = _step(module), _step(target)
    if step in ("", later) and folder == beside:
        return None
    whole = later if beside in ("", folder) else f"{beside}.{later}"
    fine = whole in STEPS[folder].get(step, "").split()
    return None if fine else f"{step} does not come before {whole}"


def _step(name: str) -> tuple[str, str]:
    """A step of the pipeline after its folder, which is "" on top."""
    folder, step = _part(name, 2), _part(name, 3)
    return (folder, step) if folder in STEPS else ("", folder)


def _part(name: str, place: int) -> str:
    parts = name.split(".")
    return parts[place] if len(parts) > place else ""


def impure(module: str, source: str) -> Iterator[str]:
    """Everything in a module of `core` that touches the world."""
    for target in imported(source):
        if not f"{target}.".startswith(("bridge.core.", *(f"{pure}." for pure in PURE))):
            yield f"{module} imports {target}, which is not known to be pure"
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{module}:{node.lineno} is async"
        elif isinstance(node, ast.Call) and _acts(node.func):
            yield f"{module}:{node.lineno} calls {ast.unparse(node.func)}"


def _acts(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in ACTING_CALLS
    return isinstance(called, ast.Attribute) and called.attr in ACTING_METHODS


def circle_of(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return what leads back to itself, from where it was found; nothing where nothing does."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def between_files(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """What each module imports of the others."""
    return {name: _arrows(source, sources.keys()) - {name} for name, source in sources.items()}


def _arrows(source: str, known: Container[str]) -> set[str]:
    """The modules that a source imports, or imports something of."""
    named = set(imported(source))
    return {
        one if one in known else one.rpartition(".")[0]
        for one in named
        if one in known or one.rpartition(".")[0] in known
    }


def between_folders(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """What each folder imports of the others; its files are apart from the folders in it.

    Whatever knows the whole package is left out: it is imported for the version.
    """
    parents = {name.rpartition(".")[0] for name in sources}
    folder = {name: name if name in parents else name.rpartition(".")[0] for name in sources}
    beside: dict[str, set[str]] = {one: set() for one in parents - {"", "bridge"}}
    for name, source in sources.items():
        if folder[name] in beside:
            further = {folder[one] for one in _arrows(source, sources.keys())}
            beside[folder[name]] |= further & beside.keys() - {folder[name]}
    return beside


def named_on_the_map(text: str) -> set[str]:
    """The modules and folders that a map of a package names, without what it says of them."""
    rows = re.findall(r"^    .*?  +(.*)$", text, re.MULTILINE)
    return {
        word for row in rows for word in re.findall(r"\w+/?", re.sub(r"\(.*?\)| on ", " ", row))
    }


def too_long(sources: Mapping[str, str], longest: int = LONGEST) -> list[str]:
    """The modules of more lines than one should have."""
    lengths = {name: len(source.splitlines()) for name, source in sources.items()}
    return [
        f"{name} has {length} lines, more than {longest}: part it by what belongs together"
        for name, length in sorted(lengths.items())
        if length > longest
    ]


def test_arrows_only_point_down_and_nothing_imports_itself() -> None:
    sources = dict(modules())

    assert [fault for name, source in modules() for fault in against_the_plan(name, source)] == []
    assert circle_of(between_files(sources)) == []
    assert circle_of(between_folders(sources)) == []


def test_no_file_is_too_long() -> None:
    tests = {str(file): file.read_text() for file in TESTS.rglob("*.py")}

    assert too_long(dict(modules())) == []
    assert too_long(tests, LONGEST_TEST) == []
    (fault,) = too_long({"a": "\n" * LONGEST, "b": "\n" * (LONGEST + 1)})
    assert fault.startswith(f"b has {LONGEST + 1} lines")


def test_a_planted_circle_is_found() -> None:
    files = {
        "a": "from b import c",
        "b": "def late():\n    import c.d",
        "c.d": "import e, a",
        "e": "import json",
    }
    folders = {
        "a": "from a.b import one",
        **dict.fromkeys(("a.b", "a.c"), ""),
        "a.b.one": "from a.c.two import x",
        "a.b.other": "import e.f",
        "a.c.two": "def late():\n    from a import y",
        "e.f": "import json",
    }

    assert set(circle_of(between_files(files))) == {"a", "b", "c.d"}
    assert set(circle_of(between_folders(folders))) == {"a", "a.b", "a.c"}


def test_core_is_pure() -> None:
    core = [(name, source) for name, source in modules() if _part(name, 1) == "core"]

    assert len(core) > 10
    assert [fault for name, source in core for fault in impure(name, source)] == []


def test_the_map_of_core_names_all_that_is_in_it_and_nothing_else() -> None:
    there = {
        f"{one.name}/" if one.is_dir() else one.stem
        for one in (PACKAGE / "core").iterdir()
        if one.suffix == ".py" or (one / "__init__.py").exists()
    }

    assert named_on_the_map(bridge.core.__doc__ or "") == there - {"__init__"}


NOT_THERE = """
core.events | from bridge.ports import Inbox | core does not see ports
core.events | from .. import ports | write it whole
ports | import bridge.pipeline.deciding.ingest | ports does not see pipeline
pipeline.deciding.ingest | from bridge import storage | pipeline does not see storage
storage.inbox.sqlite | from bridge.durable import x | storage does not see durable
web.hooks | from bridge.settings import Web | web does not see settings
app | def late(): import bridge.cli | app does not see cli
settings | from bridge.pipeline import x | settings does not see pipeline
settings.root | from bridge.githosts.base import http | the maps alone
settings.root | from bridge.backends import embedded_client | the maps alone
app.providers | from bridge.githosts.gitlab import api | ask its record
app.providers | from bridge.chats.slack.opening import Slack | ask its record
cli.x | from bridge.backends.dokploy.client import Dokploy | ask its record
pipeline.deploying.deployments | from bridge.pipeline.deciding import catalog | does not come before
pipeline.promote | import bridge.pipeline.background | promote does not come before
backends.dokploy.x | import bridge.backends.other.y | their siblings
githosts.github.api | from bridge.githosts.gitlab import api | their siblings
githosts.base.http | import bridge.githosts.github.wire | their siblings
embedded.building.queue | from bridge.core.apps import App | a house of its own
embedded.building.queue | import bridge.ports.clock | embedded does not see ports
app.run | import bridge.embedded.server | is reached over HTTP
elsewhere | import bridge.core.events | has no place in the floor plan
"""
THERE = """
cli.serve | from bridge.app import run_bridge; from bridge import __version__
githosts.github.webhooks | from bridge.githosts.base.webhook import load
backends | def later(): from bridge.backends.dokploy import Dokploy
pipeline.deciding.deliveries | from bridge.pipeline.deciding.catalog import Catalog
web.hooks | import asyncio, aiohttp; from bridge.core.errors import Rejected
"""


def rows_of(text: str) -> list[list[str]]:
    return [line.split(" | ") for line in text.strip().splitlines()]


@each_row(("module", "source", "why"), rows_of(NOT_THERE))
def test_a_planted_arrow_that_points_up_is_found(module: str, source: str, why: str) -> None:
    (fault,) = against_the_plan(f"bridge.{module}", source)

    assert why in fault
    checked = f"if TYPE_CHECKING:\n    {source}" if not source.startswith("def") else source
    assert len(list(against_the_plan(f"bridge.{module}", checked))) == 1


def test_what_the_plan_has_is_left_alone() -> None:
    for module, source in rows_of(THERE):
        assert list(against_the_plan(f"bridge.{module}", source)) == []


@each_row(
    "source",
    [
        "import asyncio", "import time", "from random import choice", "import logging",
        "import os.path", "from pathlib import Path", "from aiohttp import web",
        "import urllib.request", "when = datetime.now()", "async def late(): ...",
        "when = clock.now()", "text = open('x').read()", "print('x')",
    ],
)  # fmt: skip
def test_a_planted_touch_of_the_world_is_found(source: str) -> None:
    (fault,) = impure("bridge.core.events", source)

    assert fault.startswith("bridge.core.events")
