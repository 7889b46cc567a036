"""SUBSCRIBE and its kin as handlers: NO_REPLY, deliveries, and the state of the session."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.replies import NO_REPLY, Push


@pytest.mark.parametrize("protocol", [2, 3])
def test_confirmations_are_delivered_and_nothing_is_answered(engine: Engine, protocol: int) -> None:
    received: list[Any] = []
    session = engine.connect(received.append, protocol=protocol)
    assert engine.execute(session, [b"SUBSCRIBE", b"a", b"b"]) is NO_REPLY
    assert engine.execute(session, [b"PUNSUBSCRIBE"]) is NO_REPLY
    assert received == [
        [b"subscribe", b"a", 1], [b"subscribe", b"b", 2], [b"punsubscribe", None, 2],
    ]  # fmt: skip
    assert {type(reply) for reply in received} == {Push if protocol == 3 else list}


def test_only_a_subscriber_of_resp2_is_special(engine: Engine) -> None:
    for protocol in (2, 3):
        session = engine.connect(lambda reply: None, protocol=protocol)
        assert not session.special
        engine.execute(session, [b"SUBSCRIBE", b"c"])
        assert session.special == (protocol == 2)
        engine.execute(session, [b"UNSUBSCRIBE", b"c"])
        assert not session.special


def test_inside_exec_the_first_confirmation_is_the_element(engine: Engine) -> None:
    received: list[Any] = []
    session = engine.connect(received.append, protocol=3)
    for args in ([b"MULTI"], [b"SUBSCRIBE", b"a", b"b"], [b"UNSUBSCRIBE"]):
        engine.execute(session, args)
    assert engine.execute(session, [b"EXEC"]) == [
        [b"subscribe", b"a", 1], [b"unsubscribe", b"a", 1],
    ]  # fmt: skip
    assert received == [[b"subscribe", b"b", 2], [b"unsubscribe", b"b", 0]]
