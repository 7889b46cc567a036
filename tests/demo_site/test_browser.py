"""From a browser to the bytes: a page twice, an edit, and the page again, in headless Chromium."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from demo_site.accounts import PASSWORD, USERS
from tests.demo_site.processes import Demo, demo, environment
from tests.redis_server import RedisServer

BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1000",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not BROWSER or not DRIVER, reason="no chromium and chromedriver here"),
]


@pytest.fixture
def served(small_folder: Path) -> Iterator[Demo]:
    """The demo, on the engine."""
    with demo("--port", "0", env=environment(small_folder)) as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[WebDriver]:
    """A headless Chromium with a profile of its own."""
    with chromium(tmp_path / "profile") as driver:
        yield driver


@contextmanager
def chromium(profile: Path) -> Iterator[WebDriver]:
    """A headless Chromium with this profile, ended with the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for option in OPTIONS:
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.set_page_load_timeout(60)
        yield driver
    finally:
        driver.quit()


def outcomes(browser: WebDriver) -> list[str]:
    """What the badges of the page say."""
    return [badge.text for badge in browser.find_elements(By.CSS_SELECTOR, ".badge")]


def wait_for_heading(browser: WebDriver, text: str) -> None:
    """Wait until the page with this heading is there, while the one before it goes."""
    between = [NoSuchElementException, StaleElementReferenceException]
    WebDriverWait(browser, 60, ignored_exceptions=between).until(
        lambda found: text in found.find_element(By.TAG_NAME, "h1").text
    )


def test_miss_hit_edit_miss(served: Demo, browser: WebDriver) -> None:
    browser.get(served.address + "airports/EDDF/")
    assert outcomes(browser) == ["MISS", "MISS"]
    browser.refresh()
    assert outcomes(browser) == ["HIT", "HIT"]

    browser.find_element(By.LINK_TEXT, "Edit").click()
    wait_for_heading(browser, "Edit EDDF")
    field = browser.find_element(By.NAME, "name")
    field.clear()
    field.send_keys("Rhein-Main")
    browser.find_element(By.CSS_SELECTOR, "form.edit button").click()
    wait_for_heading(browser, "Rhein-Main")
    assert outcomes(browser) == ["MISS", "HIT"]
    assert "airport:EDDF" in browser.find_element(By.CSS_SELECTOR, ".message").text

    browser.find_element(By.NAME, "q").send_keys("rhein-main\n")
    wait_for_heading(browser, "rhein-main")
    assert browser.find_element(By.LINK_TEXT, "Rhein-Main")
    # A style sheet or an image that the policy refused, or any error, would stand here.
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    sheet = browser.find_element(By.TAG_NAME, "header").value_of_css_property("border-bottom-width")
    assert sheet == "1px"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[WebDriver]:
    """A second browser, of somebody else."""
    with chromium(tmp_path / "other-profile") as driver:
        yield driver


def edit_name(browser: WebDriver, address: str, name: str) -> None:
    """Rename the airport, as a visitor does it, and wait for its page."""
    browser.get(address + "airports/EDDF/edit/")
    wait_for_heading(browser, "Edit EDDF")
    field = browser.find_element(By.NAME, "name")
    field.clear()
    field.send_keys(name)
    browser.find_element(By.CSS_SELECTOR, "form.edit button").click()
    wait_for_heading(browser, name)


def wait_until_live(browser: WebDriver, *, but: str = "") -> str:
    """Wait until the page is told of changes; by which process, which is not `but`."""

    def process(found: WebDriver) -> str | bool:
        state = found.find_element(By.ID, "live")
        told_by = state.get_attribute("title") or ""
        return told_by if state.text == "Live" and told_by != but else False

    return str(WebDriverWait(browser, 60).until(process))


def mark(browser: WebDriver) -> None:
    """Leave something on the page that a reload would take away."""
    browser.execute_script("window.marked = true")


def is_marked(browser: WebDriver) -> bool:
    """Whether it is still the page that was marked."""
    return browser.execute_script("return window.marked === true") is True


def test_an_edit_shows_in_a_second_browser(
    served: Demo, browser: WebDriver, other: WebDriver
) -> None:
    other.get(served.address + "airports/EDFE/")  # on its list is what is edited
    wait_until_live(other)
    mark(other)
    edit_name(browser, served.address, "Rhein-Main")
    WebDriverWait(other, 60).until(
        lambda found: found.find_elements(By.LINK_TEXT, "EDDF Rhein-Main")
    )
    assert is_marked(other)
    assert "Updated" in other.find_element(By.ID, "live").text
    for each in (browser, other):
        assert [entry["message"] for entry in each.get_log("browser")] == []


@pytest.mark.requires_redis
def test_an_edit_shows_in_a_second_browser_with_four_workers(
    redis_server: RedisServer, small_folder: Path, browser: WebDriver, other: WebDriver
) -> None:
    arguments = ["--port", "0", "--workers", "4", "--redis", redis_server.url()]
    with demo(*arguments, env=environment(small_folder)) as served:
        other.get(served.address + "airports/EDDF/")
        told_by = wait_until_live(other)
        mark(other)
        edit_name(browser, served.address, "Rhein-Main")
        wait_for_heading(other, "Rhein-Main")
        for each in (browser, other):
            assert [entry["message"] for entry in each.get_log("browser")] == []

        # The worker dies, and another has the second browser from then on.
        os.kill(int(told_by.removeprefix("Process ")), signal.SIGKILL)
        wait_until_live(other, but=told_by)
        edit_name(browser, served.address, "Frankfurt")
        wait_for_heading(other, "Frankfurt")
        assert is_marked(other)


def log_in(browser: WebDriver, address: str) -> None:
    """As the first user, through the page."""
    browser.get(address + "login/")
    browser.find_element(By.NAME, "username").send_keys(USERS[0])
    browser.find_element(By.NAME, "password").send_keys(PASSWORD + "\n")
    wait_for_heading(browser, "Your sessions")


def test_one_browser_ends_the_others_session(
    served: Demo, browser: WebDriver, other: WebDriver
) -> None:
    log_in(browser, served.address)
    log_in(other, served.address)
    assert len(other.find_elements(By.CSS_SELECTOR, "tbody tr")) == 2
    browser.refresh()
    browser.find_element(By.CSS_SELECTOR, "td button").click()
    WebDriverWait(browser, 60).until(lambda found: found.find_elements(By.CSS_SELECTOR, ".message"))
    other.get(served.address + "sessions/")
    wait_for_heading(other, "Log in")
    browser.refresh()
    assert len(browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 1
    for _ in range(6):
        other.get(served.address + "api/airports/EDDF/")
    wait_for_heading(other, "Too many requests")
    refused = [
        entry for entry in browser.get_log("browser") if "Content Security" in entry["message"]
    ]
    assert refused == []


def test_a_phone_needs_no_sideways_scrolling(served: Demo, browser: WebDriver) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for path in ["", "countries/US/", "airports/EDDF/", "airports/EDDF/edit/", "search/?q=san",
                 "login/", "limits/"]:  # fmt: skip
        browser.get(served.address + path)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 360, path
