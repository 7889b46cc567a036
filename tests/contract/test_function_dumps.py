"""FUNCTION DUMP and RESTORE: all libraries as bytes, and the three ways to take them back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cacheapp.engine.config import Config
from cacheapp.engine.persistence.payloads import dump_libraries
from tests.contract.conftest import Server
from tests.raw import ReplyError

ONE = "#!lua name=one\nredis.register_function('f', function() return 1 end)"


@pytest.fixture(autouse=True)
def no_libraries(server: Server) -> Iterator[None]:
    server.execute("FUNCTION", "FLUSH")
    yield
    server.execute("FUNCTION", "FLUSH")


def refused(server: Server, *args: str | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def test_dump_and_restore(server: Server) -> None:
    empty = server.execute("FUNCTION", "DUMP")
    server.execute("FUNCTION", "LOAD", ONE)
    dump = server.execute("FUNCTION", "DUMP")
    assert refused(server, "FUNCTION", "RESTORE", dump) == "ERR Library one already exists"
    assert server.execute("FUNCTION", "RESTORE", dump, "replace") == b"OK"
    assert server.execute("FUNCTION", "RESTORE", empty, "FLUSH") == b"OK"
    assert server.execute("FUNCTION", "LIST") == []
    assert server.execute("FUNCTION", "RESTORE", dump, "APPEND") == b"OK"
    assert server.execute("FCALL", "f", 0) == 1
    assert server.execute("FUNCTION", "DUMP") == dump


def test_restoring_is_all_or_nothing(server: Server) -> None:
    server.execute("FUNCTION", "LOAD", ONE.replace("name=one", "name=two"))
    server.execute("FUNCTION", "LOAD", ONE.replace("name=one", "name=three").replace("'f'", "'g'"))
    dump = server.execute("FUNCTION", "DUMP")
    server.execute("FUNCTION", "FLUSH")
    server.execute("FUNCTION", "LOAD", ONE)
    for policy in ("APPEND", "REPLACE"):
        error = refused(server, "FUNCTION", "RESTORE", dump, policy)
        assert error == "ERR Function f already exists"
    assert [item[1] for item in server.execute("FUNCTION", "LIST")] == [b"one"]
    assert server.execute("FUNCTION", "RESTORE", dump, "FLUSH") == b"OK"
    assert {item[1] for item in server.execute("FUNCTION", "LIST")} == {b"two", b"three"}
    assert server.execute("FCALL", "g", 0) == 1


def test_payloads_of_functions_that_are_refused(server: Server) -> None:
    server.execute("SET", "k", "v")
    value = server.execute("DUMP", "k")
    assert refused(server, "FUNCTION", "RESTORE", "rubbish") == (
        "ERR DUMP payload version or checksum are wrong"
    )
    assert refused(server, "FUNCTION", "RESTORE", value) == "ERR given type is not a function"
    assert refused(server, "FUNCTION", "RESTORE", "rubbish", "MERGE") == (
        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
    )
    assert refused(server, "FUNCTION", "reStore", "a", "b", "c") == (
        "ERR unknown subcommand or wrong number of arguments for 'reStore'. Try FUNCTION HELP."
    )
    body = dump_libraries([b"#!lua name=bad\nreturn ("], Config())
    assert "Error compiling function" in refused(server, "FUNCTION", "RESTORE", body)


def test_a_backslash_in_metadata_is_a_character(server: Server) -> None:
    code = ONE.replace("name=one", "name=o\\ne")
    assert refused(server, "FUNCTION", "LOAD", code).startswith("ERR Library names can only")
