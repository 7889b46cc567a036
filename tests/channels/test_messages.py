"""Messages: copies in process, bytes on a server."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from cacheapp.channels.messages import Codec, local_body, message_of

NESTED = {"type": "a", "list": [1, {"b": None}], "bytes": b"\xff"}


@pytest.mark.parametrize("message", [{"type": "a", "n": 1, "f": 2.5, "no": None}, NESTED])
def test_a_body_is_independent_of_its_message(message: dict[str, object]) -> None:
    body = local_body(message)
    first, second = message_of(body), message_of(body)
    assert first == second == message
    assert first is not second
    first.clear()
    assert message_of(body) == message


def test_keys_rotate() -> None:
    old, new, other = Codec(["old"]), Codec([b"new", "old"]), Codec(["other"])
    assert message_of(new.body(old.pack(NESTED))) == NESTED
    assert message_of(new.body(new.sealed(local_body(NESTED)))) == NESTED
    assert b"list" not in new.pack(NESTED)
    with pytest.raises(ValueError, match="no key"):
        other.body(old.pack(NESTED))
    with pytest.raises(ImproperlyConfigured, match="list"):
        Codec("one")


def test_what_no_server_could_carry() -> None:
    with pytest.raises(TypeError):
        local_body({"type": "a", "x": {1, 2}})
    with pytest.raises(TypeError):
        Codec().pack({"type": object()})
