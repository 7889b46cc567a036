"""The documents say what there is: settings, URL options, checks, commands, links, the version.

"Documented" means standing in a code span or a fenced block of the README or of docs/, so that an
option called `save` is not documented by the verb. Each search is shown to be able to fail.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import cacheapp
from cacheapp.clients.url import CLIENT_OPTIONS, SCHEMES
from cacheapp.conf import DEFAULTS
from cacheapp.engine.config import ENGINE_PARAMETERS
from cacheapp.ratelimit import rules as ratelimit
from tests import command_table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCE = re.compile(r"^(`{3,})(\w*)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
CHECK_ID = re.compile(r"\bcacheapp\.[EWI]\d{3}\b")
TARGET = re.compile(r"^([a-z]+):.*?## ", re.MULTILINE)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [body for _, name, body in FENCE.findall(text) if name == language]


def code(text: str) -> str:
    """Everything in a page that is set as code, a piece a line."""
    fenced = [body for _, _, body in FENCE.findall(text)]
    indented = re.findall(r"^ {4,}\S.*$", text, re.MULTILINE)
    return "\n".join([*fenced, *indented, *SPAN.findall(FENCE.sub("", text))])


@cache
def documented() -> str:
    """All code of the pages which a user reads."""
    pages = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
    return "\n".join(code(page.read_text(encoding="utf-8")) for page in pages)


def missing(names: list[str], text: str) -> list[str]:
    """The names that stand nowhere in `text` as a whole word."""
    return [
        name for name in names if not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
    ]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    return {slug(line.lstrip("#")) for line in FENCE.sub("", text).splitlines() if line[:1] == "#"}


def broken_links(page: Path, text: str) -> list[str]:
    """The links of a page to files or headings that are not there; other sites are not asked."""
    broken = []
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            found = text if target == page else target.read_text(encoding="utf-8")
            if anchor not in anchors(found):
                broken.append(link)
    return broken


def check_ids() -> list[str]:
    """The ids of the system checks, as their modules spell them."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "cacheapp").rglob("checks.py")]
    return sorted(set(CHECK_ID.findall("\n".join(sources))))


def test_every_setting_is_documented() -> None:
    assert DEFAULTS
    assert missing(sorted(DEFAULTS), documented()) == []
    assert missing(sorted({*ratelimit.DEFAULTS, *ratelimit.RULE_OPTIONS}), documented()) == []


@pytest.mark.parametrize("options", [CLIENT_OPTIONS, ENGINE_PARAMETERS], ids=["client", "engine"])
def test_every_url_option_is_documented(options: dict[str, object]) -> None:
    assert missing(sorted(options), documented()) == []


def test_every_scheme_is_documented() -> None:
    assert [scheme for scheme in SCHEMES if f"{scheme}://" not in documented()] == []


def test_every_system_check_is_documented_and_no_other() -> None:
    assert check_ids()
    assert sorted(set(CHECK_ID.findall(documented()))) == check_ids()


def test_every_make_target_is_documented() -> None:
    targets = TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {"help", "demo", "test", "check", "bench", "upstream", "fuzz"} <= set(targets)
    assert missing([f"make {target}" for target in targets], documented()) == []


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_the_contents_list_names_every_document() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index)}
    unnamed = [page.name for page in DOCS.rglob("*.md") if page.resolve() not in linked]
    assert unnamed == ["index.md"]


def test_decisions_are_numbered_once() -> None:
    names = [page.name for page in (DOCS / "decisions").glob("*.md")]
    numbers = [name[:3] for name in names]
    assert [name for name in names if not re.fullmatch(r"\d{3}-[a-z0-9-]+\.md", name)] == []
    assert sorted(numbers) == sorted(set(numbers))


def test_the_table_of_commands_is_current() -> None:
    page = command_table.PAGE.read_text(encoding="utf-8")
    assert page == command_table.page(), "say `make commands`"
    assert " 7.0's" in page


def test_what_is_said_to_be_missing_is_missing_of_a_command() -> None:
    assert set(command_table.PARTIAL) <= set(command_table.rows())


def test_the_differences_fit_on_half_a_page() -> None:
    lines = (DOCS / "differences.md").read_text(encoding="utf-8").splitlines()
    assert 10 < len(lines) <= 35


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    release = re.sub(r"\.dev\d+$", "", cacheapp.__version__)
    assert re.search(rf"^## {re.escape(release)}\b", changelog, re.MULTILINE)


PASTE = """
from django.conf import settings
import django

{block}

settings.configure(
    SECRET_KEY="pasted",
    CACHES=CACHES,
    INSTALLED_APPS=INSTALLED_APPS,
    USE_TZ=True,
)
django.setup()

import asyncio
from django.core.cache import cache
from django.core.management import call_command

call_command("check", fail_level="WARNING")
cache.set("greeting", ["hello"], timeout=30)
assert cache.get("greeting") == ["hello"], cache.get("greeting")
assert asyncio.run(cache.aget("greeting")) == ["hello"]
print("pasted", cache.get("greeting"))
"""


def test_the_readme_s_settings_block_works_when_pasted() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = blocks(readme, "python")[0]
    # Only the list of apps that a project already has stands for the reader's own.
    source = PASTE.format(block="INSTALLED_APPS = []\n" + block)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "pasted ['hello']"


def test_the_readme_opens_with_three_lines_the_block_and_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    title, _, opening = readme.partition("\n\n")
    prose = opening.partition("```")[0].strip().splitlines()
    assert title == "# cacheapp"
    assert 1 <= len([line for line in prose if line]) <= 5
    assert "make demo" in blocks(readme, "sh")[0]
    assert "make test" in blocks(readme, "sh")[0]
    assert readme.index("```python") < readme.index("```sh") < readme.index("\n## ")


def test_the_searches_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# A head, `code`\n\nsave is a verb; `maxmemory=1mb` is code.\n\n```sh\nmake it\n```\n"
    assert missing(["save", "maxmemory", "make it", "make"], code(text)) == ["save"]
    assert missing(["memory"], code(text)) == ["memory"]
    assert anchors(text) == {"a-head-code"}
    assert broken_links(page, "[a](gone.md) [b](#none) [c](https://host/x)") == ["gone.md", "#none"]
    page.write_text(text)
    assert broken_links(page, text + "[a](page.md#a-head-code) [b](page.md#gone)") == [
        "page.md#gone"
    ]
    assert CHECK_ID.findall("cacheapp.E001 cacheapp.X001 cacheapp.E01") == ["cacheapp.E001"]
    assert blocks(text, "python") == []
