"""Methods of redis-py compiled for one session: arguments, the command and its reply in one frame.

`shortcuts.runner` between a method and a handler is a call more, and a method that takes whatever
comes (`*args, **named`) makes a tuple and a dict at each call: a fifth of the time of a short
command. So the function is made from a text, with the parameters of the method which it stands
for, and with what `runner` does at rest written out. Whatever is unusual goes where it would
without this module: arguments of other types and options to redis-py's own method (`whole`), an
engine or a session that is not at rest to `Engine.execute`.

The texts differ in how they make bytes of the arguments, the *shape* of a method. They are built
from names of parameters and the lines below, never from data.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from redis._parsers.helpers import bool_ok, float_or_none
from redis.exceptions import DataError
from redis.observability.providers import get_observability_instance

from cacheapp.clients.decoding import reply_error
from cacheapp.engine.errors import CommandError
from cacheapp.engine.registry import COMMANDS, Command
from cacheapp.engine.replies import to_resp2
from cacheapp.engine.session import Session
from cacheapp.engine.stats import TIMES_MAX

__all__ = ["NAMES", "VALUES", "Shape", "as_bytes", "compiled", "encoded", "fixed"]

_TEMPLATE = """
{define} {method}({parameters}):
    {guard}
    try:
        {encoding}
    except (DataError, TypeError):
        {whole}
    acquire()
    try:
        now = clock()
        if now >= engine.{rest_until} or session.special:
            reply = execute(session, {words})
        else:
            engine.epoch += 1
            try:
                engine.now = session.last_active = now
                session.last_command = display
                try:
                    reply = {call}
                except BaseException as error:
                    engine.ended(session, row, {words}, now, None, error)
                    if waiters.ready_keys:
                        waiters.serve()
                    raise
                elapsed = clock() - now
                if elapsed >= engine.notable_seconds:
                    engine.ended(session, row, {words}, now, reply)
                else:
                    timed(elapsed)
                    if len(times) > TIMES_MAX:
                        settle()
                if waiters.ready_keys:
                    waiters.serve()
                {shaping}
            finally:
                engine.epoch += 1
    except CommandError as error:
        raise reply_error(error) from None
    finally:
        release()
    {answer}
"""


# How a reply is parsed where a shape does not say.
_AS_IT_IS: Final = "return reply"
_PARSED: Final = "return parse(reply)"
_PARSED_UNLESS_PLAIN: Final = "return reply if type(reply) in plain else parse(reply)"
# What takes the place of a call, by the parser.
_INLINE: Final[dict[object, str]] = {
    None: _AS_IT_IS,
    bool: "return True if reply else False",
    bool_ok: "return True if reply == b'OK' else False",
    bytes: "return bytes(reply)",
    float: "return float(reply)",
    float_or_none: "return None if reply is None else float(reply)",
    set: "return reply if type(reply) is set else set(reply)",
}


def as_bytes(name: str) -> str:
    """The text that makes bytes of what is called `name`."""
    return (
        f"{name}.encode() if type({name}) is str else "
        f"b'%d' % {name} if type({name}) is int else encoded({name})"
    )


@dataclass(frozen=True)
class Shape:
    """How a method's arguments become bytes, and its reply what it returns.

    The first `count` parameters are made bytes as they are, as `_0`, `_1` …; then come `lines`, in
    which `{0}`, `{1}` … are names of parameters. `arguments` are what the handler is called with
    (those of `count`, where it is empty). Parameters that `lines` do not name have to be at their
    defaults. `answer` returns, where the usual parsing of the reply would take long. `call` calls
    the handler, where there is a faster way than with a star before the arguments.
    """

    count: int
    lines: str = ""
    arguments: str = ""
    answer: str = ""
    # What `answer` may call, as `make`.
    make: Callable[..., Any] | None = None
    call: str = ""
    # What is called in place of the command's handler, with the same arguments.
    handler: Callable[..., Any] | None = None


def fixed(count: int) -> Shape:
    """The shape of a command with `count` arguments."""
    return Shape(count)


# `*values`, after one argument and without any. One value is most usual, and without a star faster.
_ONE_OR_MORE: Final = f"""
rest = None
if len({{0}}) == 1:
    value = {{0}}[0]
    value = {as_bytes("value")}
elif {{0}}:
    rest = tuple(map(encoded, {{0}}))
else:
    raise DataError
"""
VALUES: Final = Shape(
    1,
    _ONE_OR_MORE.replace("{0}", "{1}"),
    "_0, *(rest or (value,))",
    call="handler(session, _0, value) if rest is None else handler(session, _0, *rest)",
)
NAMES: Final = Shape(
    0,
    _ONE_OR_MORE,
    "*(rest or (value,))",
    call="handler(session, value) if rest is None else handler(session, *rest)",
)


def encoded(argument: Any) -> bytes:
    """One argument as bytes; DataError for what redis-py's method has to deal with."""
    kind = type(argument)
    if kind is str:
        encoded: bytes = argument.encode()
        return encoded
    if kind is int:
        return b"%d" % argument
    if kind is float:
        return repr(argument).encode()
    if kind is bytes:
        return argument  # type: ignore[no-any-return]
    raise DataError


def compiled(
    session: Session,
    command: bytes,
    whole: Callable[..., Any],
    reply: tuple[frozenset[object], Callable[..., Any] | None],
    shape: Shape,
    *,
    asynchronous: bool = False,
) -> Callable[..., Any]:
    """A function for `session` that does what the method `whole`, which is bound, does.

    If `asynchronous` it is a coroutine function, which does not suspend where it does not wait.

    `reply` are the types of replies that need no parsing, and what parses the others; None where
    none needs it.
    """
    method: Any = whole.func if isinstance(whole, functools.partial) else whole
    row, engine = COMMANDS[command], session.engine
    plain, parse = reply
    answer = _INLINE.get(parse) or (_PARSED_UNLESS_PLAIN if plain else _PARSED)
    code, defaults = _code(method, shape, row, answer, asynchronous)
    with engine.lock:
        # It is there for good, and so is its list.
        stat = engine.stats.command(row.display)
    namespace: dict[str, Any] = {
        "BaseException": BaseException, "CommandError": CommandError, "DataError": DataError,
        "TIMES_MAX": TIMES_MAX, "acquire": engine.lock.acquire, "clock": engine.clock.time,
        "command": command, "display": row.display,
        "encoded": encoded, "engine": engine, "handler": shape.handler or row.handler,
        "make": shape.make, "parse": parse,
        "plain": plain, "release": engine.lock.release, "reply_error": reply_error, "row": row,
        "execute": engine.execute, "observed": _observed, "session": session,
        "settle": stat.settle, "timed": stat.times.append, "times": stat.times,
        "to_resp2": to_resp2, "waiters": engine.waiters, "whole": whole, **defaults,
    }  # fmt: skip
    exec(code, namespace)  # noqa: S102 - the text is ours, see above
    # Out of its own globals: a circle would keep the engine until it is collected.
    function: Any = namespace.pop(method.__name__)
    function.__qualname__ = method.__qualname__
    function.__doc__ = method.__doc__
    return function  # type: ignore[no-any-return]


def _observed() -> bool:
    """Whether redis-py counts messages and reads for somebody, as its own methods do."""
    return get_observability_instance().get_provider_manager() is not None


@functools.lru_cache(maxsize=512)
def _code(
    method: Callable[..., Any], shape: Shape, row: Command, answer: str, asynchronous: bool
) -> tuple[CodeType, dict[str, Any]]:
    """The compiled text of a method's function, and the defaults of its parameters by name."""
    names: list[str] = []
    shown, passed_on, guards = [], [], []
    defaults: dict[str, Any] = {}
    stars = "*more"
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        name, kind = parameter.name, parameter.kind
        usual = len(names) < shape.count or f"{{{len(names)}}}" in shape.lines
        names.append(name)
        if kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if kind is parameter.VAR_KEYWORD and stars:
                shown.append(stars)
                passed_on.append(stars)
                guards.append("more")
            stars = ""
            mark = "*" if kind is parameter.VAR_POSITIONAL else "**"
            shown.append(mark + name)
            passed_on.append(mark + name)
            if not usual:
                guards.append(name)
            continue
        passed_on.append(name if kind is parameter.POSITIONAL_OR_KEYWORD else f"{name}={name}")
        if parameter.default is parameter.empty:
            shown.append(name)
            continue
        defaults[f"default_{name}"] = parameter.default
        shown.append(f"{name}=default_{name}")
        if not usual:
            guards.append(f"{name} is not default_{name}")
    if stars:
        shown.append(stars)
        passed_on.append(stars)
        guards.append("more")
    lines = [f"_{at} = {as_bytes(name)}" for at, name in enumerate(names[: shape.count])]
    lines += shape.lines.format(*names).strip().splitlines()
    whole = f"return {'await ' * asynchronous}whole({', '.join(passed_on)})"
    plain = ", ".join(f"_{at}" for at in range(shape.count))
    arguments = shape.arguments.format(*names) or plain
    text = _TEMPLATE.format(
        method=method.__name__,
        define="async def" if asynchronous else "def",
        rest_until="rest_reads_until" if row.only_reads else "rest_until",
        parameters=", ".join(shown),
        guard=f"if {' or '.join(guards)}: {whole}" if guards else "",
        encoding="\n        ".join(lines) or "pass",
        whole=whole,
        call=shape.call.format(*names) or f"handler(session, {arguments})",
        words=f"[command, {arguments}]",
        shaping="if session.protocol == 2: reply = to_resp2(reply)" if row.shaped else "",
        answer=shape.answer.format(*names) or answer,
    )
    return compile(text, f"<{method.__name__} of a session>", "exec"), defaults
