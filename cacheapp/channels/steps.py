"""Operations as generators: each yields what to run (a script or a command) and is sent the reply.

So only the waiting is written twice, in ``run`` and ``arun``. Left out on purpose: deciding
anything; a step that fails is thrown into its operation, which may clean up after itself.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from cacheapp.channels.links import Link

__all__ = ["Steps", "arun", "run"]

Steps = Generator[tuple[Any, Sequence[Any], Sequence[Any]], Any, Any]


def run(link: Link, steps: Steps) -> Any:
    """Do what ``steps`` say, and return what they return."""
    try:
        call = next(steps)
        while True:
            try:
                reply = link.run(*call)
            except BaseException as error:  # noqa: BLE001 - it is the steps' own to clean up after
                call = steps.throw(error)
            else:
                call = steps.send(reply)
    except StopIteration as stop:
        return stop.value


async def arun(link: Link, steps: Steps) -> Any:
    """See ``run``."""
    try:
        call = next(steps)
        while True:
            try:
                reply = await link.arun(*call)
            except BaseException as error:  # noqa: BLE001 - as above
                call = steps.throw(error)
            else:
                call = steps.send(reply)
    except StopIteration as stop:
        return stop.value
