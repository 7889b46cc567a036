"""The scripts of an engine: their cache by SHA1, their shebang flags, and running them.

The Lua runtime is made at the first script. Scripts that EVAL brought are forgotten, the longest
unused first, beyond a number (clients fall back from EVALSHA to EVAL by themselves); those which
SCRIPT LOAD brought stay until SCRIPT FLUSH.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cacheapp.engine.errors import (
    NO_REPLICAS,
    NO_SCRIPT,
    OUT_OF_MEMORY,
    CommandError,
    closing_text,
    text,
)
from cacheapp.engine.eviction import is_full
from cacheapp.engine.replies import Reply
from cacheapp.engine.scripting.bridge import Bridge
from cacheapp.engine.scripting.sandbox import Sandbox

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.session import Session

_EVAL_SCRIPTS_MAX = 500
# Commands that run a script, which may say more of itself than they do.
SCRIPT_COMMANDS = frozenset({"EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO"})
_FLAGS = frozenset({"no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"})


class Script:
    """A script: its text without the shebang line, whose flags are None where it has none."""

    __slots__ = ("_chunk", "_sandbox", "body", "flags", "loaded", "sha")

    def __init__(self, sha: str, source: bytes) -> None:
        self.sha = sha
        self.body, self.flags = parse_shebang(source)
        self.loaded = False
        self._sandbox: Sandbox | None = None
        self._chunk: Any = None

    def chunk(self, sandbox: Sandbox) -> Any:
        """The compiled text; CommandError if it does not compile."""
        if self._sandbox is not sandbox:
            self._chunk = sandbox.compile(self.body)
            self._sandbox = sandbox
        return self._chunk


class Scripts:
    """All scripts of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._scripts: dict[str, Script] = {}
        self._bridge: Bridge | None = None
        self._sandbox: Sandbox | None = None

    def __len__(self) -> int:
        """How many scripts are cached."""
        return len(self._scripts)

    def exists(self, sha: bytes) -> bool:
        """Whether the script with this SHA1 (hexadecimal, any case) is here."""
        return sha.lower().decode("latin-1") in self._scripts

    def find(self, sha: bytes) -> Script:
        """The script with this SHA1; NOSCRIPT if it is unknown."""
        script = self._scripts.get(sha.decode("latin-1"))
        if script is None:
            script = self._scripts.get(sha.lower().decode("latin-1"))
        if script is None:
            raise CommandError(NO_SCRIPT)
        return script if script.loaded else self._used(script)

    def load(self, source: bytes) -> Script:
        """The script with this text, kept until `flush`; an error if it does not compile."""
        script = self.cached(source)
        script.loaded = True
        return script

    def cached(self, source: bytes) -> Script:
        """The script with this text, compiled now if it is new."""
        sha = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        script = self._scripts.get(sha)
        if script is None:
            script = Script(sha, source)
            script.chunk(self._ready())
            self._forget_old()
        return self._used(script)

    def _used(self, script: Script) -> Script:
        """Keep the scripts of EVAL in the order of their last use."""
        if not script.loaded:
            self._scripts.pop(script.sha, None)
            self._scripts[script.sha] = script
        return script

    def flush(self) -> None:
        """Forget every script and the Lua runtime with all that it holds."""
        self._scripts.clear()
        self._bridge = self._sandbox = None

    def run(
        self,
        caller: Session,
        script: Script,
        key_count: int,
        arguments: tuple[bytes, ...],
        *,
        read_only: bool,
    ) -> Reply:
        """Run `script` for `caller`; its result in RESP3's shape, or CommandError.

        The first `key_count` of the arguments are KEYS.
        """
        sandbox = self._sandbox
        if sandbox is None or sandbox.broken:
            sandbox = self._ready()
        bridge = self._bridge
        assert bridge is not None
        may_grow = not self._engine.limited or not is_full(self._engine)
        if script.flags is not None:
            if read_only and "no-writes" not in script.flags:
                raise CommandError(
                    "ERR Can not execute a script with write flag using *_ro command."
                )
            read_only = read_only or "no-writes" in script.flags
            if self._engine.following is not None:
                self._engine.following.check_script(script.flags)
            if not read_only and not self._engine.replicas.are_enough():
                raise CommandError(NO_REPLICAS)
            if not may_grow and not script.flags & {"allow-oom", "no-writes"}:
                raise CommandError(OUT_OF_MEMORY)
            may_grow = may_grow or "allow-oom" in script.flags
        bridge.begin(caller, arguments[:key_count], read_only=read_only, may_grow=may_grow)
        try:
            return sandbox.run(script.chunk(sandbox), script.sha, key_count, arguments)
        finally:
            bridge.end()

    def _ready(self) -> Sandbox:
        if self._sandbox is None or self._sandbox.broken:
            self._bridge = Bridge(self._engine)
            self._sandbox = self._bridge.sandbox = Sandbox(self._bridge)
        return self._sandbox

    def _forget_old(self) -> None:
        old = [sha for sha, script in self._scripts.items() if not script.loaded]
        for sha in old[: len(old) - _EVAL_SCRIPTS_MAX + 1]:
            del self._scripts[sha]


def declared_flags(engine: Engine, command: str, script: bytes) -> frozenset[str] | None:
    """The flags of the script or function that a command would run; None where it says none.

    `command` is one of SCRIPT_COMMANDS, `script` its first argument. None also where there is no
    such script.
    """
    try:
        if command.startswith("FCALL"):
            return frozenset(map(text, engine.functions.find(script).flags))
        if command.startswith("EVALSHA"):
            return engine.scripts.find(script).flags
        return parse_shebang(script)[1]
    except CommandError:
        return None


def parse_shebang(source: bytes) -> tuple[bytes, frozenset[str] | None]:
    """The body and the flags of a script (None where it has no `#!` line), or CommandError."""
    if not source.startswith(b"#!"):
        return source, None
    line, newline, _rest = source.partition(b"\n")
    if not newline:
        raise CommandError("ERR Invalid script shebang")
    engine, *options = line.split()
    if engine != b"#!lua":
        raise CommandError(f"ERR Unexpected engine in script shebang: {closing_text(engine)}")
    flags: set[str] = set()
    for option in options:
        name, _, value = option.partition(b"=")
        if name != b"flags":
            raise CommandError(f"ERR Unknown lua shebang option: {closing_text(option)}")
        for flag in value.split(b",") if value else ():
            if text(flag) not in _FLAGS:
                raise CommandError(f"ERR Unexpected flag in script shebang: {closing_text(flag)}")
            flags.add(text(flag))
    # The newline stays, so that errors name the lines of the whole script.
    return source[len(line) :], frozenset(flags)
