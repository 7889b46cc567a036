"""The two loops that drive an operation: the same answers, and errors thrown where they belong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import NoScriptError, RedisError, ResponseError

from cacheapp.cache.steps import Steps, adrive, drive, run_script
from cacheapp.clients.scripts import Script


class Client:
    """Answers from a list; an exception in it is raised."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[Any, ...]] = []

    def ask(self, *args: Any) -> Any:
        self.asked.append(args)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    evalsha = eval = ask


class AsyncClient(Client):
    async def ask(self, *args: Any) -> Any:
        return super().ask(*args)

    evalsha = eval = ask


def run(steps: Steps[Any], kind: type[Client], *replies: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    client = kind(*replies)
    if kind is Client:
        return drive(steps, client), client.asked
    return asyncio.run(adrive(steps, client)), client.asked


def adding() -> Steps[int]:
    first = yield lambda client: client.ask("first")
    try:
        second = yield lambda client: client.ask("second")
    except ResponseError:
        second = yield lambda client: client.ask("again")
    return int(first + second)


def nothing() -> Steps[str]:
    return "nothing"
    yield lambda client: client.ask("never")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_replies_and_errors_reach_the_operation(kind: type[Client]) -> None:
    assert run(adding(), kind, 1, 2) == (3, [("first",), ("second",)])
    assert run(adding(), kind, 1, ResponseError("no"), 5) == (
        6,
        [("first",), ("second",), ("again",)],
    )
    assert run(nothing(), kind) == ("nothing", [])
    with pytest.raises(RedisError, match="gone"):
        run(adding(), kind, RedisError("gone"))
    with pytest.raises(ZeroDivisionError):
        run(adding(), kind, ZeroDivisionError())


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_script_is_sent_whole_where_the_server_lacks_it(kind: type[Client]) -> None:
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    result, asked = run(run_script(script, [b"key"], [1]), kind, 5)
    assert (result, asked) == (5, [(script.sha, 1, b"key", 1)])
    result, asked = run(run_script(script, [b"key"], [1]), kind, NoScriptError("NOSCRIPT"), 5)
    assert result == 5
    assert asked[1] == (script.text, 1, b"key", 1)


class Interrupted(BaseException):
    """Neither an error of the server nor one of the program's: a signal, a cancellation."""


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("error", [Interrupted, TimeoutError])
def test_what_ends_the_wait_ends_the_operation_at_once(
    kind: type[Client], error: type[BaseException]
) -> None:
    ended = []

    def waiting() -> Steps[None]:
        try:
            yield interrupt
        finally:
            ended.append(True)

    def interrupt(client: Any) -> Any:
        raise error

    # The exception, whose traceback would keep the generator alive, is held all the time.
    with pytest.raises(error) as held:
        run(waiting(), kind)
    assert ended == [True], held
