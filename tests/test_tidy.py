"""The house rules hold over the whole tree, and each of them is able to fail.

The tree is what git tracks or would track (an unpacked sdist: every file that no tool made).
"""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from tests.house_rules import ENGINE_PACKAGES, RULES

ROOT = Path(__file__).resolve().parent.parent
MADE_BY_TOOLS = {
    "__pycache__", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    "build", "dist", "var",
}  # fmt: skip
TEXT = {".cfg", ".css", ".html", ".js", ".lua", ".md", ".py", ".toml", ".txt", ".yaml", ".yml", ""}

DOC = '"""What it is."""\n'
LONG_FUNCTION = DOC + "def long():\n" + "    pass\n" * 60


@lru_cache(maxsize=1)
def tree() -> dict[str, str]:
    """Every text file of the repository that git tracks or would track: path -> text."""
    git = shutil.which("git")
    names: list[str] = []
    if git and (ROOT / ".git").exists():
        listing = subprocess.run(
            [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        names = [name for name in listing.stdout.split("\0") if name]
    else:
        for path in ROOT.rglob("*"):
            relative = path.relative_to(ROOT)
            hidden = any(part.startswith(".venv") for part in relative.parts)
            if path.is_file() and not hidden and not MADE_BY_TOOLS & set(relative.parts):
                names.append(relative.as_posix())
    return {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in sorted(names)
        if Path(name).suffix in TEXT and (ROOT / name).is_file()
    }


def test_the_tree_is_found() -> None:
    assert {"pyproject.toml", "Makefile", ".ci/run", "cacheapp/__init__.py"} <= tree().keys()
    assert not [name for name in tree() if name.startswith((".venv", "var/"))]


@pytest.mark.parametrize("name", RULES)
def test_the_tree_keeps(name: str) -> None:
    complaints = [line for path, text in tree().items() for line in RULES[name](path, text)]
    assert not complaints, "\n" + "\n".join(complaints)


def test_no_file_names_this_checkout() -> None:
    here = f"{ROOT}/"
    assert not [path for path, text in tree().items() if here in text]


# rule, path, a source that breaks it, a source that keeps it
CASES = [
    ("file_length", "cacheapp/a.py", "x = 1\n" * 601, "x = 1\n" * 600),
    ("function_length", "cacheapp/a.py", LONG_FUNCTION, LONG_FUNCTION.replace("    pass\n", "", 1)),
    ("function_length", "a.py", "@deco\n" + LONG_FUNCTION[len(DOC) : -9], "@deco\ndef f(): ...\n"),
    ("columns", "cacheapp/a.py", "#" * 101, "#" * 100),
    ("columns", "Makefile", "#" * 101, "#" * 100),
    ("columns", "a.py", "x" * 101 + "  # noqa: A001", "x" * 100 + "  # type: ignore[arg-type]"),
    ("module_docstring", "demo_site/a.py", "x = 1\n", DOC + "x = 1\n"),
    ("module_docstring", "tests/a.py", "# why\nx = 1\n", ""),
    (
        "structures_stand_alone",
        "cacheapp/engine/structures/hash.py",
        "from cacheapp.engine.errors import WRONG_TYPE",
        "from cacheapp.engine.structures.set import Set",
    ),
    (
        "structures_stand_alone",
        "cacheapp/engine/structures/hash.py",
        "from ..errors import WRONG_TYPE",
        "from .set import Set",
    ),
    (
        "commands_stand_apart",
        "cacheapp/engine/commands/keys.py",
        "from cacheapp.engine.commands.strings import get",
        "from cacheapp.engine.registry import command",
    ),
    (
        "commands_stand_apart",
        "cacheapp/engine/commands/keys.py",
        "from . import strings",
        "from ..registry import command",
    ),
    (
        "commands_stand_apart",
        "cacheapp/engine/commands/keys.py",
        "from cacheapp.engine.engine import Engine",
        "if TYPE_CHECKING:\n    from cacheapp.engine.engine import Engine",
    ),
    ("engine_is_alone", "cacheapp/engine/a.py", "import socket", "import threading"),
    ("engine_is_alone", "cacheapp/engine/a.py", "import redis.asyncio", "import json"),
    ("engine_is_alone", "cacheapp/engine/a.py", "import lupa.lua51", "from . import scripting"),
    (
        "engine_is_alone",
        "cacheapp/engine/a.py",
        "def late():\n    from cacheapp.conf import config",
        "from cacheapp.engine.config import Config",
    ),
    (
        "no_django_below",
        "cacheapp/clients/a.py",
        "from django.core.cache import cache",
        "import redis",
    ),
    (
        "no_django_below",
        "cacheapp/clients/a.py",
        "from cacheapp.cache import CacheBackend",
        "from cacheapp.engine.engine import Engine",
    ),
    (
        "seam",
        "cacheapp/cache/backend.py",
        "from cacheapp.engine.engine import Engine",
        "from cacheapp.clients.factory import get_client",
    ),
    ("seam", "cacheapp/checks.py", "import cacheapp.engine.config", "import cacheapp.clients.url"),
    (
        "settings_reader",
        "cacheapp/cache/backend.py",
        "from django.conf import settings",
        "from cacheapp.conf import config",
    ),
    ("clock", "cacheapp/engine/expiry.py", "from time import monotonic", "import heapq"),
    ("clock", "cacheapp/engine/commands/keys.py", "import datetime", "import timeit"),
    ("shipped_alone", "cacheapp/a.py", "from tests.raw import encode", "import cacheapp.conf"),
    (
        "no_bare_except",
        "a.py",
        "try:\n    f()\nexcept:\n    g()",
        "try:\n    f()\nexcept A:\n    g()",
    ),
    ("no_class_magic", "cacheapp/a.py", "class A(metaclass=M): ...", "class A(M): ..."),
    ("no_class_magic", "cacheapp/a.py", "class HashMixin: ...", "class Hash: ..."),
    ("no_sleep_in_tests", "tests/a.py", "time.sleep(0.1)", "clock.advance(0.1)"),
    ("no_sleep_in_tests", "tests/a.py", "from time import sleep", "sleep = own\nsleep(1)"),
    ("no_sleep_in_tests", "tests/a.py", "await asyncio.sleep(1)", "await asyncio.sleep(0)"),
    ("no_machine", "docs/a.md", "see /home/" + "someone/x", "see https://host/home/x"),
    ("no_machine", "docs/a.md", "cd /ro" + "ot/x", "the /root of it"),
    ("no_machine", "a.txt", "pip --index-" + "url x", "pip install x"),
    ("no_machine", "a.txt", "https://files.pythonhosted." + "org/packages/x", "https://host/x"),
    ("no_machine", "a.txt", "https://pypi.org/" + "simple/", "https://host/simple/"),
]


@pytest.mark.parametrize(("name", "path", "bad", "good"), CASES)
def test_a_rule_can_fail(name: str, path: str, bad: str, good: str) -> None:
    assert RULES[name](path, bad)
    assert RULES[name](path, good) == []


def test_file_names_are_judged_too() -> None:
    assert RULES["no_utils"]("cacheapp/cache/utils.py", DOC)
    assert RULES["no_utils"]("cacheapp/cache/keys.py", DOC) == []


def test_the_named_exceptions_are_let_through() -> None:
    for package, path in ENGINE_PACKAGES.items():
        assert RULES["engine_is_alone"](path, f"import {package}") == []
    assert RULES["settings_reader"]("cacheapp/conf.py", "from django.conf import settings") == []
    assert RULES["clock"]("cacheapp/engine/clock.py", "import time") == []
    assert RULES["seam"]("cacheapp/clients/client.py", "import cacheapp.engine.engine") == []


def test_every_rule_has_a_case_that_it_fails() -> None:
    assert {case[0] for case in CASES} | {"no_utils"} == RULES.keys()
