"""The house rules as functions: a path and its text in, a list of complaints out.

Each rule is pure, so that `test_tidy` can run it over the tree and also show, on made-up sources,
that it complains when it should. Left out on purpose: what ruff and mypy already check.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100
REMARK = re.compile(r"  # (?:type: ignore|noqa)(?:: ?[A-Z0-9, ]+|\[[a-z, -]+\])?$")

# What may say a host or a folder of one machine: none. Each is spelled so as not to match itself.
MACHINE_PATTERNS = [
    re.compile(r"(?<![\w.:/-])/(?:home|Users)/\w+"),
    re.compile(r"(?<![\w.:/-])/ro{2}t/"),
    re.compile(r"files\.pythonhosted\.or[g]"),
    re.compile(r"(?:pypi|npmjs|crates|rubygems)\.(?:org|io)/simpl[e]"),
    re.compile(r"--(?:extra-)?index-ur[l]|--find-link[s]|--trusted-hos[t]"),
]

# What the engine may not take from the standard library: a network, or another way to wait.
ENGINE_FORBIDS = ("asyncio", "http", "selectors", "socket", "socketserver", "ssl", "urllib")
# And the only two packages that it knows beside it, each in one place.
ENGINE_PACKAGES = {
    "lupa": "cacheapp/engine/scripting/sandbox.py",
    "sortedcontainers": "cacheapp/engine/structures/sortedset.py",
}
# The parts which stand on redis-py, and what they may not know.
ABOVE_THE_SEAM = (
    "cacheapp/cache/", "cacheapp/channels/", "cacheapp/dashboard/", "cacheapp/invalidation/",
    "cacheapp/ratelimit/", "cacheapp/sessions/", "cacheapp/apps.py", "cacheapp/checks.py",
    "cacheapp/conf.py", "cacheapp/metrics.py",
)  # fmt: skip
BELOW_DJANGO = ("cacheapp/engine/", "cacheapp/clients/", "cacheapp/server/")

Rule = Callable[[str, str], list[str]]


@cache
def parse(source: str) -> ast.Module:
    """The syntax tree of a source, made once for all rules."""
    return ast.parse(source)


def is_python(path: str) -> bool:
    """Whether the rules about code look at this file."""
    return path.endswith(".py")


def imports(path: str, source: str, *, typing_too: bool = True) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of each import; `from a import b` says `a.b`.

    With `typing_too=False`, what only a type checker imports (`if TYPE_CHECKING`) is left out.
    """
    tree = parse(source)
    hidden: set[ast.AST] = set()
    if not typing_too:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                hidden.update(inner for child in node.body for inner in ast.walk(child))
    package = path.removesuffix(".py").removesuffix("/__init__").split("/")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = [*base, *([node.module] if node.module else [])]
            yield from ((node.lineno, ".".join([*prefix, alias.name])) for alias in node.names)


def within(name: str, *modules: str) -> bool:
    """Whether a dotted name is one of the modules, or inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def forbid(
    path: str, found: Iterable[tuple[int, str]], bad: Callable[[str], bool], why: str
) -> list[str]:
    """One complaint for each import that `bad` does not want."""
    return [f"{path}:{line}: imports {name}: {why}" for line, name in found if bad(name)]


def file_length(path: str, source: str) -> list[str]:
    """A file holds one idea, in 600 lines at most."""
    count = len(source.splitlines())
    if not is_python(path) or count <= FILE_LINES_MAX:
        return []
    return [f"{path}: {count} lines, {FILE_LINES_MAX} at most"]


def function_length(path: str, source: str) -> list[str]:
    """A function is 60 lines at most, decorators and docstring included."""
    if not is_python(path):
        return []
    complaints = []
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            count = (node.end_lineno or node.lineno) - first + 1
            if count > FUNCTION_LINES_MAX:
                complaints.append(
                    f"{path}:{first}: {node.name} has {count} lines, {FUNCTION_LINES_MAX} at most"
                )
    return complaints


def columns(path: str, source: str) -> list[str]:
    """100 columns in code, scripts and build files, a closing remark to a tool not counted."""
    if not path.endswith((".py", ".lua", ".toml", "Makefile", ".ci/run")):
        return []
    return [
        f"{path}:{number}: {len(line)} columns, {COLUMNS_MAX} at most"
        for number, line in enumerate(source.splitlines(), 1)
        if len(line) > COLUMNS_MAX and len(REMARK.sub("", line)) > COLUMNS_MAX
    ]


def module_docstring(path: str, source: str) -> list[str]:
    """Each module says what it is and why; an empty file and a generated migration need not."""
    if not is_python(path) or not source.strip() or "/migrations/" in path:
        return []
    return [] if ast.get_docstring(parse(source)) else [f"{path}:1: no module docstring"]


def structures_stand_alone(path: str, source: str) -> list[str]:
    """engine/structures is pure data: it imports nothing of ours but itself."""
    home = "cacheapp.engine.structures"
    if not is_python(path) or not path.startswith("cacheapp/engine/structures/"):
        return []
    return forbid(
        path,
        imports(path, source),
        lambda name: within(name, "cacheapp") and not within(name, home),
        "structures import nothing of ours",
    )


def commands_stand_apart(path: str, source: str) -> list[str]:
    """A command group knows no other group, and the dispatcher only as a type."""
    home = "cacheapp.engine.commands"
    if not is_python(path) or not path.startswith("cacheapp/engine/commands/"):
        return []
    siblings = forbid(
        path,
        imports(path, source),
        lambda name: within(name, home),
        "command groups never import each other",
    )
    dispatcher = forbid(
        path,
        imports(path, source, typing_too=False),
        lambda name: within(name, "cacheapp.engine.engine"),
        "handlers know the engine only through ctx",
    )
    return siblings + dispatcher


def engine_is_alone(path: str, source: str) -> list[str]:
    """The engine is itself, the standard library without a network, and two packages in a file."""
    if not is_python(path) or not path.startswith("cacheapp/engine/"):
        return []

    def bad(name: str) -> bool:
        package = name.partition(".")[0]
        if package == "cacheapp":
            return not within(name, "cacheapp.engine")
        if package in sys.stdlib_module_names:
            return within(name, *ENGINE_FORBIDS)
        return ENGINE_PACKAGES.get(package) != path

    return forbid(path, imports(path, source), bad, "the engine knows no such thing, or not here")


def no_django_below(path: str, source: str) -> list[str]:
    """clients and server know redis-py or sockets and the engine, but no Django."""
    if not is_python(path) or not path.startswith(BELOW_DJANGO):
        return []
    homes = ("cacheapp.engine", "cacheapp.clients", "cacheapp.server")
    return forbid(
        path,
        imports(path, source),
        lambda name: (
            within(name, "django", "django_redis", "channels", "channels_redis")
            or (within(name, "cacheapp") and not within(name, *homes))
        ),
        "nothing below the Django parts knows Django or them",
    )


def seam(path: str, source: str) -> list[str]:
    """The Django parts speak redis-py: they never import the engine or the server."""
    if not is_python(path) or not path.startswith(ABOVE_THE_SEAM):
        return []
    return forbid(
        path,
        imports(path, source),
        lambda name: within(name, "cacheapp.engine", "cacheapp.server"),
        "above the seam there is only redis-py (cacheapp.clients)",
    )


def settings_reader(path: str, source: str) -> list[str]:
    """cacheapp/conf.py alone reads django.conf.settings, so that one place knows what is read."""
    if not is_python(path) or not path.startswith("cacheapp/") or path == "cacheapp/conf.py":
        return []
    return forbid(
        path,
        imports(path, source),
        lambda name: within(name, "django.conf"),
        "only cacheapp/conf.py reads settings",
    )


def clock(path: str, source: str) -> list[str]:
    """engine/clock.py alone reads the time, so that a ManualClock rules all of it."""
    if not is_python(path) or not path.startswith("cacheapp/engine/"):
        return []
    if path == "cacheapp/engine/clock.py":
        return []
    return forbid(
        path,
        imports(path, source),
        lambda name: within(name, "time", "datetime", "sched"),
        "only engine/clock.py knows the time",
    )


def shipped_alone(path: str, source: str) -> list[str]:
    """What is installed imports nothing of the repository around it."""
    if not is_python(path) or not path.startswith("cacheapp/"):
        return []
    return forbid(
        path,
        imports(path, source),
        lambda name: within(name, "benchmarks", "demo_site", "tests"),
        "the package is installed without it",
    )


def no_utils(path: str, source: str) -> list[str]:
    """A file is named after its idea."""
    if Path(path).stem in {"utils", "util", "helpers", "common", "misc"}:
        return [f"{path}: name the file after what it holds"]
    return []


def no_bare_except(path: str, source: str) -> list[str]:
    """An except names what it expects."""
    if not is_python(path):
        return []
    return [
        f"{path}:{node.lineno}: bare except"
        for node in ast.walk(parse(source))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def no_class_magic(path: str, source: str) -> list[str]:
    """No metaclass and no mixin in what we ship."""
    if not is_python(path) or not path.startswith("cacheapp/"):
        return []
    complaints = []
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.ClassDef):
            if any(keyword.arg == "metaclass" for keyword in node.keywords):
                complaints.append(f"{path}:{node.lineno}: {node.name} has a metaclass")
            if node.name.endswith("Mixin"):
                complaints.append(f"{path}:{node.lineno}: {node.name} is a mixin")
    return complaints


def no_sleep_in_tests(path: str, source: str) -> list[str]:
    """A test waits for an event with a timeout, never for the clock; `asyncio.sleep(0)` may be."""
    if not is_python(path) or not path.startswith("tests/"):
        return []
    complaints = forbid(
        path,
        imports(path, source),
        lambda name: name in {"time.sleep", "asyncio.sleep"},
        "call it by its full name, if at all",
    )
    for node in ast.walk(parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        yields = name == "asyncio.sleep" and [ast.unparse(item) for item in node.args] == ["0"]
        if name in {"time.sleep", "asyncio.sleep"} and not yields:
            complaints.append(f"{path}:{node.lineno}: {name} in a test")
    return complaints


def no_machine(path: str, source: str) -> list[str]:
    """No folder of one machine and no registry's host stands in a tracked file."""
    return [
        f"{path}:{number}: names a machine's folder or a registry: {found.group()}"
        for number, line in enumerate(source.splitlines(), 1)
        for pattern in MACHINE_PATTERNS
        if (found := pattern.search(line))
    ]


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        file_length, function_length, columns, module_docstring, structures_stand_alone,
        commands_stand_apart, engine_is_alone, no_django_below, seam, settings_reader, clock,
        shipped_alone, no_utils, no_bare_except, no_class_magic, no_sleep_in_tests, no_machine,
    )
}  # fmt: skip
