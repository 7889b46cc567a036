"""The Lua runtime in which scripts run, and its bounds.

Lua itself (5.1, as in Redis) comes from lupa, whose defaults are open: what scripts may see is
built anew in `sandbox.lua`, and no Python object is ever handed to them. Bounds:

- Memory. Lua's allocator refuses to go beyond a limit, which a script sees as "not enough memory".
  Some room is kept above what scripts may fill: where a reply is handed to Lua nothing would catch
  that error, so there the host looks first (`room_for`).
- Time. A hook looks at the clock every thousand instructions. Past `lua-time-limit` a script that
  has not written is stopped. One that has written goes on up to ten times as long, since stopping
  it leaves half of its work done, and is then stopped all the same: all of the process waits. Where
  others can be answered meanwhile (see `overtime`) it runs on until somebody kills it.
- Depth. Lua's own limits on calls; nested results are cut at a thousand levels.

The clock is Lua's os.clock, the processor time of this process.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import Reply
from cacheapp.engine.scripting.bridge import MEMORY_BYTES_MAX, Bridge
from cacheapp.engine.scripting.conversion import Unflatten, error_from, one_line, scalar, truncated
from cacheapp.engine.scripting.libraries import bits, bytes_double, double_bytes

# Above what scripts may fill, for what the host itself puts into Lua.
_HOST_ROOM_BYTES = 16 * 1024**2
# Beyond this much in use after a script, garbage is collected before the next one.
_COLLECT_BYTES = 64 * 1024**2
# More arguments than this go in tables; Lua's stack takes 8000 at most.
_DIRECT_ARGUMENTS_MAX = 100
NO_LIMIT_SECONDS = 1e9
# The libraries beside sandbox.lua, with what each is given.
_LIBRARIES: dict[str, tuple[Any, ...]] = {
    "bit": (bits,),
    "cmsgpack": (double_bytes, bytes_double),
    "struct": (double_bytes, bytes_double, bits),
}
# References that lupa keeps in Lua while a call has tables or functions for arguments: as many are
# prepared as a call can have, so that none allocates where an error would not be caught.
_REFERENCES = 8192


class Sandbox:
    """One Lua state with its libraries, for one engine, under that engine's lock."""

    # What errors call the code that runs here.
    place = "user_script"
    # The word for it in an error of the compiler.
    compiled = "script (new function)"

    def __init__(self, bridge: Bridge) -> None:
        import lupa.lua51

        self._bridge = bridge
        # Set by an error that passed the driver's own handler; such a state is not used again.
        self.broken = False
        self._runtime = lupa.lua51.LuaRuntime(
            encoding=None,
            source_encoding="latin-1",
            attribute_filter=_no_attributes,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            max_memory=MEMORY_BYTES_MAX + _HOST_ROOM_BYTES,
        )
        self._lua_error: type[Exception] = lupa.lua51.LuaError
        self.table = self._runtime.table_from
        self.used = self._runtime.get_memory_used
        functions, constants = bridge.functions(), bridge.constants()
        driver = self._runtime.execute(
            source_of("sandbox"),
            self.table(
                {
                    **self._tables(bridge.host_functions()),
                    b"place": self.place.encode(),
                    b"redis": self.table({**functions, **constants}),
                }
            ),
            name=b"=sandbox",
        )
        self._compile, self._run = driver[b"compile"], driver[b"run"]
        self._run_tables, self._collect = driver[b"run_tables"], driver[b"collect"]
        driver[b"patterns"](source_of("patterns"))
        driver[b"results"](source_of("results"))
        library = driver[b"library"]
        for name, natives in _LIBRARIES.items():
            library(name.encode(), source_of(name), *natives)
        library(b"cjson", source_of("cjson"), driver[b"null"])
        self._prepare(driver)
        references = [self.table([]) for _ in range(_REFERENCES)]
        del references

    def _tables(self, fields: dict[bytes, Any]) -> dict[bytes, Any]:
        """The same with Lua tables for dicts."""
        return {
            name: self.table(value) if isinstance(value, dict) else value
            for name, value in fields.items()
        }

    def _prepare(self, driver: Any) -> None:
        """Add what only one kind of sandbox has."""

    def compile(self, source: bytes) -> Any:
        """The chunk for the text of a script; CommandError with the compiler's message."""
        self._collect_if_much()
        if not self.room_for(len(source) * 64):
            raise CommandError(f"ERR Error compiling {self.compiled}: not enough memory")
        made = self._compile(source)
        if type(made) is tuple:
            message = one_line(made[1]).decode("utf-8", "surrogateescape")
            raise CommandError(f"ERR Error compiling {self.compiled}: {message}")
        return made

    def _collect_if_much(self) -> None:
        # Lua 5.1 does not collect when an allocation fails: what a script that filled the memory
        # left behind would keep the next one out.
        if self.used() > _COLLECT_BYTES:
            self._collect()

    def room_for(self, size: int) -> bool:
        """Whether the host may put `size` more bytes into Lua now."""
        return bool(self.used() + size < MEMORY_BYTES_MAX)

    def run(self, chunk: Any, sha: str, key_count: int, arguments: tuple[bytes, ...]) -> Reply:
        """Run a chunk; its result in RESP3's shape, or CommandError with the place of the error.

        The first `key_count` of the arguments are KEYS.
        """
        size = sum(map(len, arguments))
        if self.used() + size > _COLLECT_BYTES:
            self.make_room(size, sha)
        bridge = self._bridge
        seconds = bridge.limit_seconds() or NO_LIMIT_SECONDS
        try:
            if len(arguments) <= _DIRECT_ARGUMENTS_MAX:
                result = self._run(chunk, seconds, key_count, *arguments)
            else:
                result = self._run_tables(
                    chunk,
                    seconds,
                    self.table(arguments[:key_count]),
                    self.table(arguments[key_count:]),
                )
        except self._lua_error as error:
            raise self.failed(error, sha) from error
        bridge.finish()
        return result if type(result) is bytes else self._reply(result, sha)

    def make_room(self, size: int, script: str) -> None:
        """See to it that the arguments of `script` find `size` bytes in Lua, or CommandError."""
        self._collect_if_much()
        if not self.room_for(size):
            raise CommandError(f"ERR Error running script {script}, not enough memory")

    def failed(self, error: Exception, script: str) -> CommandError:
        """What to raise for an error that nothing in Lua caught, which breaks this sandbox."""
        self.broken = True
        self._bridge.finish()
        return CommandError(f"ERR Error running script {script}, {error}")

    def _reply(self, result: Any, sha: str) -> Reply:
        """What a script's outcome (see `outcome` in sandbox.lua) is as a reply."""
        if type(result) is not tuple:
            return scalar(result, self._bridge.protocol)
        kind, *rest = result
        if kind == b"list":
            return [item if type(item) is bytes else truncated(item) for item in rest]
        if kind == b"value":
            reply = Unflatten(rest[0], self._bridge.protocol).read()
            if isinstance(reply, CommandError):
                raise reply
            return reply
        if kind == b"failure":
            text = rest[0][:100].decode("utf-8", "surrogateescape")
            raise CommandError(f"ERR Error running script {sha}, {text}")
        message, line, counted = rest
        failure = error_from(
            message + b" script: %s, on @%s:%d." % (sha.encode(), self.place.encode(), line)
        )
        failure.counted = counted
        raise failure


def _no_attributes(_owner: object, name: object, _is_setting: bool) -> str:
    """Refuse every attribute of every Python object, should one ever be reached."""
    raise AttributeError(name)


def source_of(name: str) -> bytes:
    return resources.files(__package__).joinpath(f"{name}.lua").read_bytes()
