"""Chromium without a window, by the DevTools protocol: what a person would see of a page, and what it asks for.

python -m tests.servers.browser PAGE PICTURE    the top of a page as a PNG, as the README shows a report
"""

import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
_FLAGS += ("--disable-background-networking", "--disable-extensions", "--disable-component-update")
_SECONDS = 30.0
# What all charts that are not folded away are: [drawn, failed, still to be drawn].
_CHARTS = """(() => { const states = [...document.querySelectorAll("figure.chart")]
  .filter((figure) => figure.checkVisibility()).map((figure) => figure.dataset.drawn);
  return ["done", "failed"].map((state) => states.filter((one) => one === state).length)
    .concat(states.filter((one) => one !== "done" && one !== "failed").length); })()"""


@dataclass
class Tab:
    """A page in the browser, with all that it complained of and asked for since it was opened."""

    browser: "Browser"
    session: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    loaded: bool = False

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.send(method, params, self)

    def evaluate(self, expression: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def drawn(self) -> int:
        """Returns how many charts there are, all of which have been drawn by then; folded ones do not count."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            drawn, failed, rest = self.evaluate(_CHARTS)
            assert not failed, self.errors
            if not rest:
                return int(drawn)
            time.sleep(0.05)
        raise AssertionError(f"{rest} charts are not drawn after {_SECONDS:.0f} seconds: {self.errors}")

    def look(self, width: int, dark: bool = False, height: int = 900) -> None:
        """Sets how wide the window is, and whether the reader prefers the dark."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def too_wide(self) -> list[str]:
        """Returns what makes the page scroll sideways."""
        return self.evaluate(
            """document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
            [...document.querySelectorAll("body *")].filter((one) => !one.closest(".table, pre, svg") &&
            one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map((one) => one.outerHTML.slice(0, 120))"""
        )

    def picture(self, path: Path, whole: bool = True) -> None:
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip() if whole else {})
        path.write_bytes(base64.b64decode(answer["data"]))

    def _clip(self) -> dict[str, Any]:
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}}

    def print(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.printToPDF", printBackground=False)["data"]))


class Browser:
    """A running browser: one connection, over which its tabs talk."""

    def __init__(self, connection: "ClientConnection"):
        self._connection = connection
        self._number = 0
        self._tabs: dict[str, Tab] = {}

    def send(self, method: str, params: dict[str, Any], tab: Tab | None = None) -> dict[str, Any]:
        """Asks, and returns the answer; what happens in the meantime is told the tabs."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        self._connection.send(json.dumps(message | ({"sessionId": tab.session} if tab else {})))
        while True:
            answer = json.loads(self._connection.recv(timeout=_SECONDS))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self._tell(answer)

    def open(self, page: Path, width: int = 1280, dark: bool = False) -> Tab:
        """Opens a page, and waits until it is loaded."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        tab = Tab(self, self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
        self._tabs[tab.session] = tab
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.send(f"{domain}.enable")
        tab.look(width, dark)
        tab.send("Page.navigate", url=page.absolute().as_uri())
        while not tab.loaded:
            self._tell(json.loads(self._connection.recv(timeout=_SECONDS)))
        return tab

    def _tell(self, message: dict[str, Any]) -> None:
        tab = self._tabs.get(message.get("sessionId", ""))
        if not tab:
            return
        params = message["params"]
        match message["method"]:
            case "Page.loadEventFired":
                tab.loaded = True
            case "Runtime.exceptionThrown":
                tab.errors.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                tab.errors.append(" ".join(str(part.get("value", part.get("description"))) for part in params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                tab.errors.append(params["entry"]["text"])
            case "Network.requestWillBeSent" if not params["request"]["url"].startswith("data:"):
                tab.requests.append(params["request"]["url"])


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Starts Chromium, which keeps what it must in `folder`."""
    from websockets.sync.client import connect

    assert CHROMIUM
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = _address(folder / "DevToolsActivePort", process)
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait(_SECONDS)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A running browser; tests that need it are skipped where there is none."""
    if not CHROMIUM:
        pytest.skip("needs Chromium (Debian's package chromium)")
    with running(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def _address(file: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        lines = file.read_text().split("\n") if file.exists() else []
        if len(lines) == 2:
            return lines[0], lines[1]
        time.sleep(0.05)
    raise AssertionError(f"Chromium did not start: {process.returncode}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch)) as own_browser:
        tab_of_page = own_browser.open(Path(sys.argv[1]), width=1000)
        tab_of_page.drawn()
        tab_of_page.look(1000, height=1490)
        time.sleep(1)  # until it is painted
        tab_of_page.picture(Path(sys.argv[2]), whole=False)
