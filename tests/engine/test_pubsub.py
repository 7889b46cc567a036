"""Channels, patterns, and delivery in order."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.replies import Push
from cacheapp.engine.session import Session


class Listener:
    """A session whose deliveries are kept."""

    def __init__(self, engine: Engine, protocol: int = 3) -> None:
        self.received: list[Any] = []
        self.session: Session = engine.connect(self.received.append, protocol=protocol)


@pytest.fixture
def listener(engine: Engine) -> Listener:
    return Listener(engine)


def test_a_message_goes_to_channel_and_pattern(engine: Engine, listener: Listener) -> None:
    engine.pubsub.subscribe(listener.session, b"news")
    engine.pubsub.psubscribe(listener.session, b"n*")
    assert engine.pubsub.publish(b"news", b"m") == 2
    assert engine.pubsub.publish(b"nothing", b"m") == 1
    assert engine.pubsub.publish(b"other", b"m") == 0
    assert listener.received == [
        [b"message", b"news", b"m"],
        [b"pmessage", b"n*", b"news", b"m"],
        [b"pmessage", b"n*", b"nothing", b"m"],
    ]
    assert all(type(message) is Push for message in listener.received)


def test_a_resp2_session_gets_plain_lists(engine: Engine) -> None:
    listener = Listener(engine, protocol=2)
    engine.pubsub.subscribe(listener.session, b"c")
    engine.pubsub.publish(b"c", b"m")
    assert listener.received == [[b"message", b"c", b"m"]]
    assert type(listener.received[0]) is list


def test_subscribing_twice_is_one_subscription(engine: Engine, listener: Listener) -> None:
    for _ in range(2):
        engine.pubsub.subscribe(listener.session, b"c")
        engine.pubsub.psubscribe(listener.session, b"c*")
    assert listener.session.subscriptions == 2
    assert engine.pubsub.publish(b"c", b"m") == 2


def test_subscribers_are_served_in_order_of_subscription(engine: Engine) -> None:
    order: list[int] = []

    def noting(number: int) -> Session:
        return engine.connect(lambda reply: order.append(number))

    sessions = [noting(number) for number in range(5)]
    for session in reversed(sessions):
        engine.pubsub.subscribe(session, b"c")
    engine.pubsub.publish(b"c", b"m")
    assert order == [4, 3, 2, 1, 0]


def test_nothing_is_left_of_the_last_subscriber(engine: Engine, listener: Listener) -> None:
    engine.pubsub.subscribe(listener.session, b"c")
    engine.pubsub.psubscribe(listener.session, b"p")
    engine.pubsub.unsubscribe(listener.session, b"c")
    engine.pubsub.unsubscribe(listener.session, b"never")
    engine.pubsub.punsubscribe(listener.session, b"p")
    assert not engine.pubsub.channels
    assert not engine.pubsub.patterns
    assert listener.session.subscriptions == 0


def test_a_session_that_is_gone_gets_nothing(engine: Engine, listener: Listener) -> None:
    engine.pubsub.subscribe(listener.session, b"c")
    engine.pubsub.psubscribe(listener.session, b"c")
    engine.disconnect(listener.session)
    assert engine.pubsub.publish(b"c", b"m") == 0
    assert not listener.received


def test_a_front_may_drop_sessions_while_it_is_served(engine: Engine) -> None:
    sessions: list[Session] = []
    received = []

    def drop_all(reply: Any) -> None:
        received.append(reply)
        for session in sessions:
            engine.disconnect(session)

    sessions += [engine.connect(drop_all) for _ in range(3)]
    for session in sessions:
        engine.pubsub.subscribe(session, b"c")
    engine.pubsub.publish(b"c", b"m")
    assert received
    assert engine.pubsub.publish(b"c", b"m") == 0
