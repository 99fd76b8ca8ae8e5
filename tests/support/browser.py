"""A headless Chromium that a test drives. Without Chromium the tests of the page are skipped, in words."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.waiting import wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--force-color-profile=srgb", "--lang=en-US",
    "--disable-features=SpareRendererForSitePerProcess,BackForwardCache")  # fmt: skip
_IS_SHOWN = """return [...document.querySelectorAll(arguments[0])].some((node) =>
    node.checkVisibility({visibilityProperty: true, opacityProperty: true}) && node.getBoundingClientRect().height > 0)"""
_PAUSE_S = 0.1
"""A question to the browser costs 8 ms of CPU: asked more often, the waits would cost more than the page."""


class Browser:
    """Chromium with a page in it. Its waits have the deadline of all tests."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str, *, width: int = 1200, height: int = 900, theme: str = "light") -> None:
        """Open a page in a window of this size, as a browser of this theme shows it, with nothing kept from before."""
        self.resize(width, height)
        self.prefer("prefers-color-scheme", theme)
        with contextlib.suppress(IndexError):
            self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "/".join(url.split("/", 3)[:3]), "storageTypes": "all"})  # fmt: skip
        self.driver.get(url)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page this size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, feature: str, value: str) -> None:
        """Prefer this, as a setting of the system would."""
        features = [{"name": feature, "value": value}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    @contextlib.contextmanager
    def without_scripts(self) -> Iterator[None]:
        """Run no script of a page that is opened within the block."""
        switch = "Emulation.setScriptExecutionDisabled"
        self.driver.execute_cdp_cmd(switch, {"value": True})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd(switch, {"value": False})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page, and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return the first element of a CSS selector, as soon as there is one."""
        elements: Sequence[WebElement] = self.wait_until(lambda: self.find_all(selector))
        return elements[0]

    def find_all(self, selector: str) -> Sequence[WebElement]:
        """Return the elements of a CSS selector as they are now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def read(self, selector: str) -> str:
        """Return the text of an element, also of what is not seen."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until an element has this text among its own."""
        self.wait_until(lambda: text in self.read(selector))

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Wait for what the browser must be asked for. Returns the answer."""
        return wait_until(condition, pause_s=_PAUSE_S)

    def is_shown(self, selector: str) -> bool:
        """Say whether an element can be seen."""
        return bool(self.run(_IS_SHOWN, selector))

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def save_downloads_in(self, folder: Path) -> None:
        """Save what is downloaded from now on in this folder, and ask nobody."""
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})  # fmt: skip

    def take_problems(self) -> list[str]:
        """Return what the browser complains of since the last time: errors of scripts, and of the content policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def take_picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        self.resize(width, max(height, 300))
        self.driver.save_screenshot(str(path))


@contextlib.contextmanager
def opening_chromium() -> Iterator[Browser]:
    """Start Chromium for a block. Skips the test where it is not installed."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Chromium and its driver (Debian's chromium and chromium-driver)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for option in (*_OPTIONS, f"--user-data-dir={folder}/profile", f"--crash-dumps-dir={folder}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        variables |= {"HOME": folder, "TMPDIR": folder, "XDG_RUNTIME_DIR": folder}
        driver = webdriver.Chrome(options, Service(DRIVER, env=variables))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
