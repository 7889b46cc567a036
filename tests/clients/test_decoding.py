"""Arguments into bytes and replies into redis-py's objects."""

from __future__ import annotations

from typing import Any

import pytest
from redis._parsers import Encoder
from redis.exceptions import (
    AuthenticationError,
    DataError,
    ExecAbortError,
    NoScriptError,
    OutOfMemoryError,
    ResponseError,
)

from cacheapp.clients.decoding import (
    command_encoder,
    commands_encoder,
    decode_bytes,
    is_utf8,
    reply_decoder,
    reply_error,
)
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import (
    BLOCKED,
    NULL_ARRAY,
    OK,
    Pairs,
    Push,
    SetReply,
    Status,
    Verbatim,
)

UTF8 = Encoder("utf-8", "strict", False)
LATIN = Encoder("latin-1", "strict", False)
ENCODERS = pytest.mark.parametrize("encoder", [UTF8, Encoder("utf-8", "replace", False)])


@ENCODERS
@pytest.mark.parametrize(
    ("args", "encoded"),
    [
        (("GET", "a"), [b"GET", b"a"]),
        ((b"GET", b"a"), [b"GET", b"a"]),
        (("CONFIG GET", "a b"), [b"CONFIG", b"GET", b"a b"]),
        ((b"CONFIG GET", "a"), [b"CONFIG", b"GET", b"a"]),
        (("SET", "é", 1), [b"SET", b"\xc3\xa9", b"1"]),
        (("SET", 1.5, 1e20), [b"SET", b"1.5", b"1e+20"]),
        (("SET", bytearray(b"a"), memoryview(b"b")), [b"SET", b"a", b"b"]),
        (("PING",), [b"PING"]),
    ],
)
def test_arguments(encoder: Encoder, args: tuple[Any, ...], encoded: list[bytes]) -> None:
    encode = command_encoder(encoder)
    assert encode(args) == encoded
    assert {type(argument) for argument in encode(args)} == {bytes}
    assert commands_encoder(encode, is_utf8(encoder))([args, args]) == [encoded, encoded]


def test_arguments_in_another_encoding() -> None:
    assert command_encoder(LATIN)(("SET", "é", "ü")) == [b"SET", b"\xe9", b"\xfc"]


@pytest.mark.parametrize("value", [True, None, [1], object()])
def test_other_types_are_data_errors(value: Any) -> None:
    for encoder in (UTF8, LATIN):
        with pytest.raises(DataError, match="Invalid input of type"):
            command_encoder(encoder)(("SET", "a", value))


ERROR = CommandError("ERR no")


@pytest.mark.parametrize(
    ("reply", "as_bytes", "as_text"),
    [
        (b"a", b"a", "a"),
        (OK, b"OK", "OK"),
        (Verbatim(b"txt"), b"txt", "txt"),
        (1, 1, 1),
        (1.5, 1.5, 1.5),
        (True, True, True),
        (None, None, None),
        (NULL_ARRAY, None, None),
        ([b"a", 1, None], [b"a", 1, None], ["a", 1, None]),
        ([b"a", [Status(b"b"), NULL_ARRAY]], [b"a", [b"b", None]], ["a", ["b", None]]),
        (SetReply([b"a"]), [b"a"], ["a"]),
        (Push([b"message", b"a"]), [b"message", b"a"], ["message", "a"]),
        (Pairs([[b"a", 1.5]]), [[b"a", 1.5]], [["a", 1.5]]),
        ({b"a": [b"b"], b"c": {}}, {b"a": [b"b"], b"c": {}}, {"a": ["b"], "c": {}}),
    ],
)
def test_replies(reply: Any, as_bytes: Any, as_text: Any) -> None:
    decode_text = reply_decoder(Encoder("utf-8", "strict", True))
    assert reply_decoder(UTF8) is decode_bytes
    for decode, expected in ((decode_bytes, as_bytes), (decode_text, as_text)):
        found = decode(reply)
        assert found == expected
        # Equal is not enough: the engine's own types are equal to the plain ones.
        assert type(found) is type(expected)
        if isinstance(found, list) and found:
            assert type(found[0]) is type(expected[0])


def test_errors_inside_a_reply_are_redis_py_s() -> None:
    for decode in (decode_bytes, reply_decoder(Encoder("utf-8", "strict", True))):
        (found,) = decode([ERROR])
        assert type(found) is ResponseError
        assert str(found) == "no"


def test_what_is_no_reply() -> None:
    with pytest.raises(TypeError, match="no client object"):
        decode_bytes(BLOCKED)


@pytest.mark.parametrize(
    ("text", "class_", "message"),
    [
        ("ERR syntax error", ResponseError, "syntax error"),
        ("WRONGTYPE Operation against", ResponseError, "WRONGTYPE Operation against"),
        ("NOSCRIPT No matching script.", NoScriptError, "No matching script."),
        ("EXECABORT Transaction", ExecAbortError, "Transaction"),
        ("OOM command not allowed", OutOfMemoryError, "command not allowed"),
        ("NOAUTH Authentication required.", AuthenticationError, "Authentication required."),
    ],
)
def test_error_classes(text: str, class_: type, message: str) -> None:
    error = reply_error(CommandError(text))
    assert type(error) is class_
    assert str(error) == message
