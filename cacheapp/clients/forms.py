"""Commands that are run by their names, `execute_command("SETEX", …)`, as functions of a session.

redis-py has no method for every command and deprecates some, and much that is built on it sends
commands by name. A name that was used some times gets a function that `compiled` makes, as the
methods have. Commands on keys only, and without options of redis-py's.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Final

from cacheapp.clients.compiled import Shape, as_bytes, compiled
from cacheapp.clients.parsing import parser
from cacheapp.engine.registry import COMMANDS

if TYPE_CHECKING:
    from cacheapp.clients.direct import DirectSession

__all__ = ["learn"]

# Uses of a name after which a function is made for it.
_USES_MIN: Final = 8
# More arguments than these are made bytes in a loop.
_UNROLLED_MAX: Final = 4


def learn(direct: DirectSession, name: Any) -> None:
    """Note that the command `name` was run by its name, and make its function when it pays."""
    if type(name) is not str:
        return
    uses = direct.uses.get(name)
    if uses is None:
        # Redis-py's callbacks are looked up by names in upper case.
        row = COMMANDS.get(name.encode()) if name.isupper() else None
        if row is None or not row.only_keys or direct.asynchronous or not direct.connection.is_utf8:
            return
        uses = 0
    direct.uses[name] = uses + 1
    if uses + 1 >= _USES_MIN:
        count = COMMANDS[name.encode()].arity - 1
        whole = functools.partial(_run, weakref.proxy(direct))
        direct.forms[name] = compiled(
            direct.session, name.encode(), whole, parser(direct, name), _shape(count)
        )


def _run(direct: DirectSession, name: str, *arguments: Any) -> Any:
    """What a function of these stands for."""
    return direct.execute((name, *arguments), {})


@functools.lru_cache(maxsize=64)
def _shape(count: int) -> Shape:
    """The shape of a command of `count` arguments; negative: at least as many, and two less."""
    if 0 < count <= _UNROLLED_MAX:
        names = [f"argument{at}" for at in range(count)]
        lines = [f"if len({{1}}) != {count}: raise DataError", f"{', '.join(names)}, = {{1}}"]
        lines += [f"{name} = {as_bytes(name)}" for name in names]
        return Shape(0, "\n".join(lines), ", ".join(names))
    lines = [
        f"if len({{1}}) < {-count - 2 if count < 0 else count}: raise DataError",
        f"rest = [{as_bytes('argument')} for argument in {{1}}]",
    ]
    if count > 0:
        lines.insert(0, f"if len({{1}}) != {count}: raise DataError")
    return Shape(0, "\n".join(lines), "*rest")
