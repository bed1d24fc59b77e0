"""Take pictures of pages in headless Chromium.

Debian: apt install chromium fonts-lato fonts-noto-color-emoji pngquant
"""

import argparse
import asyncio
import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SHARPNESS = 1.6
"""Pixels for each pixel of the page."""

Pages = Iterable[tuple[str, str]]
"""Names of pictures, and their pages as HTML."""


def run(what: str, pages: Pages, *, prefix: str = "", width: int = 760) -> None:
    """Write pictures as the command line asks, or only their pages.

    Args:
        what: describes the pictures, for `--help`.
        prefix: begins the names of the files.
    """
    parser = argparse.ArgumentParser(description=what.split("\n", maxsplit=1)[0])
    parser.add_argument("--html", type=Path, help="write the pages there, and no pictures")
    parser.add_argument("names", nargs="*", help="only these, as card-done")
    asked = parser.parse_args()
    shots = [(name, html) for name, html in pages if not asked.names or name in asked.names]
    if asked.html:
        asked.html.mkdir(parents=True, exist_ok=True)
        for name, html in shots:
            (asked.html / f"{name}.html").write_text(html)
        return
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("error: no Chromium in PATH; on Debian: apt install chromium")
    asyncio.run(take(browser, [(prefix + name, html) for name, html in shots], width=width))


async def take(browser: str, shots: list[tuple[str, str]], *, width: int = 760) -> None:
    """Show each page in one Chromium, and write what its `#shot` looks like."""
    import aiohttp

    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            + ["--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"],
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            address = await asyncio.to_thread(_listens, process)
            async with aiohttp.ClientSession() as session:
                port = address.split("/")[2]
                async with session.get(f"http://{port}/json") as answer:
                    tab = (await answer.json())[0]["webSocketDebuggerUrl"]
                async with session.ws_connect(tab, max_msg_size=0) as socket:
                    for name, html in shots:
                        await _shoot(socket, name, html, width)
        finally:
            process.terminate()
            process.communicate()


def _listens(process: "subprocess.Popen[str]") -> str:
    assert process.stderr
    for line in process.stderr:
        if "DevTools listening on " in line:
            return line.split(" on ")[1].strip()
    raise SystemExit("error: Chromium ended before it listened")


async def _shoot(socket: Any, name: str, html: str, width: int) -> None:
    size = {"width": width, "height": 400, "deviceScaleFactor": SHARPNESS, "mobile": False}
    await _call(socket, "Emulation.setDeviceMetricsOverride", size)
    script = f"document.open(); document.write({json.dumps(html)}); document.close();"
    await _call(socket, "Runtime.evaluate", {"expression": script})
    box_of = "document.getElementById('shot').getBoundingClientRect()"
    ready = f"document.fonts.ready.then(() => JSON.stringify({box_of}))"
    answer = await _call(socket, "Runtime.evaluate", {"expression": ready, "awaitPromise": True})
    box = json.loads(answer["result"]["value"])
    clip = {key: box[key] for key in ("x", "y", "width", "height")} | {"scale": 1}
    picture = await _call(
        socket, "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )
    file = PICTURES / f"{name}.png"
    file.write_bytes(base64.b64decode(picture["data"]))
    if small := shutil.which("pngquant"):
        options = ["--force", "--skip-if-larger", "--strip", "--output", str(file), "128"]
        subprocess.run([small, *options, str(file)], check=False)
    print(f"{file.relative_to(ROOT)}  {file.stat().st_size // 1024} KB")


async def _call(socket: Any, method: str, params: dict[str, Any]) -> Any:
    await socket.send_json({"id": 1, "method": method, "params": params})
    while True:
        answer = json.loads((await socket.receive()).data)
        if answer.get("id") == 1:
            return answer["result"]
