"""Libraries of functions: loading them, finding a function by its name, and calling it.

Functions live in a Lua state of their own, apart from that of the scripts: SCRIPT FLUSH does not
touch them, and what a library keeps in its locals lasts until it is deleted. While a library loads
it sees little more than redis.register_function (see `functions.lua`). Lua is the only engine.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cacheapp.engine.errors import NO_REPLICAS, OUT_OF_MEMORY, CommandError, text
from cacheapp.engine.eviction import is_full
from cacheapp.engine.replies import Reply
from cacheapp.engine.scripting.bridge import Bridge
from cacheapp.engine.scripting.sandbox import NO_LIMIT_SECONDS, Sandbox, source_of

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.session import Session

_LOAD_SECONDS = 0.5
_FIELDS = 4
# In the order in which FUNCTION LIST names them.
_FLAGS = (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")
_NAME = re.compile(rb"[A-Za-z0-9_]+")
_BAD_NAME = (
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long"
)


class Function:
    """One function of a library; `callback` belongs to the sandbox that the library is in."""

    __slots__ = ("callback", "description", "flags", "name")

    def __init__(self, name: bytes, callback: Any, description: bytes | None, flags: bytes) -> None:
        self.name = name
        self.callback = callback
        self.description = description
        given = frozenset(flags.split(b","))
        self.flags = tuple(flag for flag in _FLAGS if flag in given)


class Library:
    """A library: its name, its whole text, its functions by name."""

    __slots__ = ("code", "functions", "name")

    def __init__(self, name: bytes, code: bytes, functions: Iterable[Function]) -> None:
        self.name = name
        self.code = code
        self.functions = {function.name: function for function in functions}


class FunctionSandbox(Sandbox):
    """A Lua state for libraries."""

    place = "user_function"
    compiled = "function"

    def _prepare(self, driver: Any) -> None:
        driver[b"functions"](source_of("functions"))
        self._load, self._call = driver[b"load"], driver[b"call"]

    def load(self, body: bytes) -> list[Function]:
        """The functions that a library's text registers; CommandError where it fails."""
        chunk = self.compile(body)
        try:
            result = self._load(chunk, _LOAD_SECONDS)
        except self._lua_error as error:
            self.broken = True
            self._bridge.finish()
            raise CommandError(f"ERR Error registering functions: {error}") from error
        self._bridge.finish()
        if type(result) is tuple:
            message = text(result[1])
            raise CommandError(f"ERR Error registering functions: {message}")
        values = [result[index] for index in range(1, len(result) + 1)]
        return [
            Function(name, callback, description or None, flags)
            for name, callback, description, flags in zip(*[iter(values)] * _FIELDS, strict=True)
        ]

    def call(self, function: Function, keys: list[bytes], arguments: list[bytes]) -> Reply:
        """Call a function; its result in RESP3's shape, or CommandError."""
        name = text(function.name)
        self.make_room(sum(map(len, keys)) + sum(map(len, arguments)), name)
        seconds = self._bridge.limit_seconds() or NO_LIMIT_SECONDS
        try:
            result = self._call(function.callback, seconds, self.table(keys), self.table(arguments))
        except self._lua_error as error:
            raise self.failed(error, name) from error
        self._bridge.finish()
        return self._reply(result, name)


class Functions:
    """All libraries of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.libraries: dict[bytes, Library] = {}
        # By name in lower case: FCALL does not tell cases apart, though libraries do.
        self._by_name: dict[bytes, tuple[Library, Function]] = {}
        self._bridge: Bridge | None = None
        self._sandbox: FunctionSandbox | None = None

    def __len__(self) -> int:
        """How many functions all libraries have."""
        return sum(len(library.functions) for library in self.libraries.values())

    def load(self, code: bytes, *, replace: bool) -> bytes:
        """Add the library with this text; its name. An error leaves everything as it was."""
        library = self._made(code, self.libraries, replace=replace)
        self._check_names([library], {library.name})
        self.libraries.pop(library.name, None)
        self.libraries[library.name] = library
        self._index()
        return library.name

    def restore(self, codes: Iterable[bytes], *, replace: bool, flush: bool) -> None:
        """Add the libraries with these texts, all or (CommandError) none.

        With `replace` they take the place of those of their names, with `flush` that of all.
        """
        arrived: dict[bytes, Library] = {}
        taken: set[bytes] = set()
        for code in codes:
            library = self._made(code, arrived, replace=False)
            for function in library.functions:
                if function.lower() in taken:
                    raise CommandError(f"ERR Function {text(function)} already exists")
            taken.update(function.lower() for function in library.functions)
            arrived[library.name] = library
        if flush:
            self.libraries = arrived
        else:
            for name in arrived:
                if name in self.libraries and not replace:
                    raise CommandError(f"ERR Library {text(name)} already exists")
            self._check_names(arrived.values(), arrived.keys())
            self.libraries = {**self.libraries, **arrived}
        self._index()

    def _made(self, code: bytes, among: Mapping[bytes, Library], *, replace: bool) -> Library:
        """The library with this text, which is to stand `among` others; CommandError."""
        name, body = parse_metadata(code)
        if name in among and not replace:
            raise CommandError(f"ERR Library '{text(name)}' already exists")
        library = Library(name, code, self._registered(self._ready(), body))
        if not library.functions:
            raise CommandError("ERR No functions registered")
        return library

    def _check_names(self, arrived: Iterable[Library], leaving: Collection[bytes]) -> None:
        """Refuse functions by names that others have, but for libraries that are `leaving`."""
        for library in arrived:
            for function in library.functions:
                found = self._by_name.get(function.lower())
                if found is not None and found[0].name not in leaving:
                    raise CommandError(f"ERR Function {text(function)} already exists")

    def _registered(self, sandbox: FunctionSandbox, body: bytes) -> list[Function]:
        bridge = self._bridge
        assert bridge is not None
        bridge.overdue_message = b"ERR FUNCTION LOAD timeout"
        try:
            return sandbox.load(body)
        finally:
            bridge.overdue_message = None

    def delete(self, name: bytes) -> None:
        """Forget the library called `name`; an error if there is none."""
        if self.libraries.pop(name, None) is None:
            raise CommandError("ERR Library not found")
        self._index()

    def flush(self) -> None:
        """Forget all libraries and the Lua state with what they keep in it."""
        self.libraries.clear()
        self._by_name.clear()
        self._bridge = self._sandbox = None

    def find(self, name: bytes) -> Function:
        """The function called `name`, in any case; an error if there is none."""
        found = self._by_name.get(name.lower())
        if found is None:
            raise CommandError("ERR Function not found")
        return found[1]

    def call(
        self,
        caller: Session,
        function: Function,
        keys: list[bytes],
        arguments: list[bytes],
        *,
        read_only: bool,
    ) -> Reply:
        """Call `function` for `caller`; its result in RESP3's shape, or CommandError."""
        no_writes = b"no-writes" in function.flags
        if read_only and not no_writes:
            raise CommandError("ERR Can not execute a script with write flag using *_ro command.")
        if self._engine.following is not None:
            self._engine.following.check_script(frozenset(map(text, function.flags)))
        if not no_writes and not self._engine.replicas.are_enough():
            raise CommandError(NO_REPLICAS)
        may_grow = no_writes or b"allow-oom" in function.flags
        if not may_grow and is_full(self._engine):
            raise CommandError(OUT_OF_MEMORY)
        sandbox = self._ready()
        # A new sandbox has loaded the libraries again.
        function = self.find(function.name)
        assert self._bridge is not None
        bridge = self._bridge
        bridge.begin(caller, keys, read_only=no_writes, may_grow=True)
        name = b"fcall_ro" if read_only else b"fcall"
        line = [name, function.name, b"%d" % len(keys), *keys, *arguments]
        bridge.invocation = (function.name, line)
        try:
            return sandbox.call(function, keys, arguments)
        finally:
            bridge.end()

    def _ready(self) -> FunctionSandbox:
        """The sandbox; where it broke, a new one with the same libraries, their state lost."""
        if self._sandbox is None or self._sandbox.broken:
            self._bridge = Bridge(self._engine)
            self._sandbox = FunctionSandbox(self._bridge)
            self._bridge.sandbox = self._sandbox
            for name, library in self.libraries.items():
                functions = self._registered(self._sandbox, parse_metadata(library.code)[1])
                self.libraries[name] = Library(name, library.code, functions)
            self._index()
        return self._sandbox

    def _index(self) -> None:
        self._by_name = {}
        for library in self.libraries.values():
            for function in library.functions.values():
                self._by_name.setdefault(function.name.lower(), (library, function))


def _words(line: str) -> shlex.shlex:
    """The words of a metadata line; a backslash is a character like any."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = lexer.escape = ""
    return lexer


def parse_metadata(code: bytes) -> tuple[bytes, bytes]:
    """The name and the body of a library, from its `#!lua name=…` line; CommandError."""
    if not code.startswith(b"#!"):
        raise CommandError("ERR Missing library metadata")
    line, newline, _rest = code.partition(b"\n")
    if not newline:
        raise CommandError("ERR Invalid library metadata")
    try:
        words = list(_words(line[2:].decode("latin-1")))
    except ValueError:
        raise CommandError("ERR Invalid library metadata") from None
    # "#! lua" names the engine with nothing.
    engine = words.pop(0) if words and line[2:3].strip() else ""
    name: bytes | None = None
    for word in words:
        key, equals, value = word.partition("=")
        if key.lower() != "name" or not equals:
            raise CommandError(f"ERR Invalid metadata value given: {word}")
        if name is not None:
            raise CommandError("ERR Invalid metadata value, name argument was given multiple times")
        name = value.encode("latin-1")
    if name is None:
        raise CommandError("ERR Library name was not given")
    if not _NAME.fullmatch(name):
        raise CommandError(_BAD_NAME)
    if engine.lower() != "lua":
        raise CommandError(f"ERR Engine '{engine}' not found")
    # The newline stays, so that errors name the lines of the whole text.
    return name, code[len(line) :]
