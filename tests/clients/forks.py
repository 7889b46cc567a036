"""Running a function in a forked child, and getting back what it found there."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

#: From 3.12 on Python warns of forks beside threads, which is what these tests are about.
ignores_the_warning = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_child(function: Callable[[], str]) -> str:
    """What ``function`` returns in a forked child, or the text of what it raised there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = function()
        except BaseException as error:  # noqa: BLE001 - nothing may leave the child
            answer = repr(error)
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        found = pipe.read().decode()
    os.waitpid(pid, 0)
    return found
