"""A user's sessions on both servers: where they are, ending them, and how many there may be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted

from cacheapp.cache.servers import server_of
from cacheapp.sessions import (
    SessionStore,
    arevoke,
    arevoke_all,
    asessions_of,
    revoke,
    revoke_all,
    sessions_of,
)
from cacheapp.sessions.places import state
from cacheapp.sessions.signals import session_revoked
from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture(autouse=True)
def site(server: Server, settings: Any) -> None:
    maker(settings)(server.url)


def log_in(user: int = 5, address: str = "198.51.100.7", agent: str = "browser") -> SessionStore:
    session = SessionStore()
    session.client = lambda: (address, agent)
    session[SESSION_KEY] = str(user)
    session.save()
    return session


def ids(user: Any = 5) -> set[str]:
    return {info.id for info in sessions_of(user)}


def test_where_a_user_is_logged_in() -> None:
    assert sessions_of(5) == []
    first = log_in()
    second = log_in(address="2001:db8::/64", agent="x" * 1000)
    log_in(user=6)
    found = sessions_of(SimpleNamespace(_meta=SimpleNamespace(pk=SimpleNamespace(
        value_to_string=lambda user: "5"))))  # fmt: skip
    assert {info.id for info in found} == {first.store_name(), second.store_name()}
    assert [info.is_of(first) for info in found].count(True) == 1
    by_id = {info.id: info for info in found}
    assert by_id[first.store_name()].address == "198.51.100.7"
    assert by_id[first.store_name()].user_agent == "browser"
    assert len(by_id[second.store_name()].user_agent) == 200
    assert all(info.began <= info.seen for info in found)


def test_nothing_in_the_store_names_user_or_session() -> None:
    session = log_in(user=123456789)
    client = server_of("default").client()
    for key in client.scan_iter(count=1000):
        assert session.session_key.encode() not in key
        assert b"123456789" not in key
        assert client.pttl(key) > 0


def test_ending_another_session_is_effective_at_once() -> None:
    mine, other = log_in(), log_in()
    heard = []

    def hear(session_id: str, reason: str, **_: Any) -> None:
        heard.append((session_id, reason))

    session_revoked.connect(hear)
    late = SessionStore(other.session_key)
    late["a"] = 1
    assert revoke(5, other.store_name())
    assert not revoke(5, other.store_name())
    assert SessionStore(other.session_key).get(SESSION_KEY) is None
    with pytest.raises(UpdateError):
        late.save()
    assert ids() == {mine.store_name()}
    assert heard == [(other.store_name(), "revoked")]


def test_nobody_ends_another_users_session() -> None:
    session = log_in(user=6)
    assert not revoke(5, session.store_name())
    assert not revoke(5, "")
    assert SessionStore(session.session_key)[SESSION_KEY] == "6"


def test_ending_all_but_this_one() -> None:
    mine = log_in()
    for _ in range(3):
        log_in()
    assert revoke_all(5, except_current=mine) == 3
    assert ids() == {mine.store_name()}
    assert revoke_all(5) == 1
    assert sessions_of(5) == []


async def test_in_async_code() -> None:
    sessions = []
    for _ in range(3):
        session = SessionStore()
        await session.aset(SESSION_KEY, "5")
        await session.asave()
        sessions.append(session)
    assert len(await asessions_of(5)) == 3
    assert await arevoke(5, sessions[0].store_name())
    assert await arevoke_all(5, except_current=sessions[1]) == 1
    assert [info.id for info in await asessions_of(5)] == [sessions[1].store_name()]


def test_the_index_follows_a_new_key_and_a_logout() -> None:
    session = log_in()
    session.cycle_key()
    session.save()
    assert ids() == {session.store_name()}
    session.flush()
    assert sessions_of(5) == []


def test_the_index_forgets_what_is_over() -> None:
    session = log_in()
    log_in()
    index = state().index_key("5")
    client = server_of("default").client()
    assert client.zcard(index) == 2
    client.delete(state().key(session.store_name()))
    assert len(sessions_of(5)) == 1
    assert client.zcard(index) == 1
    client.zadd(index, {b"x" * 40: 1})
    log_in()
    assert client.zscore(index, b"x" * 40) is None


def test_a_limit_on_sessions(settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"MAX_PER_USER": 2}}
    heard = []

    def hear(session_id: str, reason: str, **_: Any) -> None:
        heard.append((session_id, reason))

    session_revoked.connect(hear)
    first, second, third = log_in(), log_in(), log_in()
    assert len(ids()) == 2
    assert third.store_name() in ids()
    assert SessionStore(third.session_key)[SESSION_KEY] == "5"
    gone = {first.store_name(), second.store_name()} - ids()
    assert heard == [(gone.pop(), "limit")]


def test_sessions_that_were_logged_out_are_no_part_of_the_limit(settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"MAX_PER_USER": 2}}
    phone = log_in()
    for _ in range(4):
        log_in().flush()
    laptop = log_in()
    assert ids() == {phone.store_name(), laptop.store_name()}


def test_one_that_was_ended_is_not_begun_anew_under_another_key() -> None:
    session = log_in()
    copy = SessionStore(session.session_key)
    assert copy[SESSION_KEY] == "5"
    assert revoke(5, session.store_name())
    # As after a change of password, in a request that began before.
    with pytest.raises(SessionInterrupted):
        copy.cycle_key()
    assert sessions_of(5) == []


async def test_nor_in_async_code() -> None:
    session = SessionStore()
    await session.aset(SESSION_KEY, "5")
    await session.asave()
    assert await arevoke(5, session.store_name())
    with pytest.raises(SessionInterrupted):
        await session.acycle_key()


def test_what_is_not_to_be_kept_is_not(settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"KEEP_ADDRESS": False, "KEEP_USER_AGENT": False}}
    log_in()
    (info,) = sessions_of(5)
    assert (info.address, info.user_agent) == ("", "")
