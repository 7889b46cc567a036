"""Attacks on sessions, each refused, on both servers; and the secrets that a site changes."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY

from cacheapp.cache.servers import server_of
from cacheapp.sessions import SessionStore
from cacheapp.sessions.places import state
from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture(autouse=True)
def site(server: Server, settings: Any) -> None:
    maker(settings)(server.url)
    settings.SECRET_KEY = "the first secret"
    settings.SECRET_KEY_FALLBACKS = []


@pytest.fixture(params=[False, True], ids=["signed", "encrypted"], autouse=True)
def encrypts(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.CACHEAPP = {"SESSIONS": {"ENCRYPT": request.param}}
    return bool(request.param)


def client() -> Any:
    return server_of("default").client()


def key_of(session: SessionStore) -> bytes:
    return state().key(session.store_name())


def saved(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def data_of(session: SessionStore) -> dict[str, Any]:
    return dict(SessionStore(session.session_key).items())


def test_fixation_a_key_of_the_attackers_choosing_is_not_taken() -> None:
    session = SessionStore("a" * 32)
    session["a"] = 1
    session.save()
    assert session.session_key != "a" * 32
    assert not client().exists(state().key(session.store_name("a" * 32)))


def test_dump_theft_names_in_the_store_are_no_keys() -> None:
    session = saved(**{SESSION_KEY: "5"})
    name = session.store_name()
    assert SessionStore(name).get(SESSION_KEY) is None
    assert SessionStore(name[:32]).get(SESSION_KEY) is None


def test_dump_theft_encrypted_values_and_names_do_not_show(encrypts: bool) -> None:
    session = saved(diagnosis="influenza")
    dump = repr(client().hgetall(key_of(session)))
    assert ("influenza" in dump) is not encrypts
    assert ("diagnosis" in dump) is not encrypts


def test_a_value_moved_to_another_session_is_not_believed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mine, admin = saved(**{SESSION_KEY: "5"}), saved(**{SESSION_KEY: "1"})
    stolen = client().hgetall(key_of(admin))
    client().delete(key_of(mine))
    client().hset(key_of(mine), mapping=stolen)
    with caplog.at_level(logging.WARNING, "django.security.SuspiciousSession"):
        assert data_of(mine) == {}
    assert "Session data corrupted" in caplog.text


def test_a_value_moved_to_another_key_of_the_session_is_not_believed() -> None:
    session = saved(low="user", high="admin")
    fields = client().hgetall(key_of(session))
    low, high = (field for field in fields if field not in (b"@", b"~"))
    client().hset(key_of(session), mapping={low: fields[high], high: fields[low]})
    assert data_of(session) == {}


def test_a_value_cannot_be_cut_into_another_key_and_value(encrypts: bool) -> None:
    # Key and body ".rol" and "ssadmin" are the same bytes as ".rols" and "sadmin".
    session = saved(rol="sadmin")
    ((field, raw),) = (
        pair for pair in client().hgetall(key_of(session)).items() if pair[0] not in (b"@", b"~")
    )
    assert encrypts or (field, raw[17:]) == (b".rol", b"ssadmin")
    client().hset(key_of(session), b".rols", raw[:17] + raw[18:])
    assert data_of(session) == {"rol": "sadmin"}


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "forged"])
def test_a_changed_value_is_not_believed(change: str) -> None:
    session = saved(role="user", other="x" * 100)
    fields = client().hgetall(key_of(session))
    for field, raw in fields.items():
        if field in (b"@", b"~"):
            continue
        changed = {
            "flip": raw[:-1] + bytes([raw[-1] ^ 1]),
            "cut": raw[:10],
            "empty": b"",
            "forged": b"\x01" + bytes(16) + b"sadmin",
        }[change]
        client().hset(key_of(session), field, changed)
    assert data_of(session) == {}


def test_a_pickle_is_never_loaded() -> None:
    session = saved(a=1)
    payload = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00."
    client().hset(key_of(session), b".a", payload)
    assert data_of(session).get("a") in (None, 1)


def test_what_is_no_session_of_ours_is_none() -> None:
    session = saved(a=1)
    client().hdel(key_of(session), "@")
    assert data_of(session) == {}


def test_a_new_secret_keeps_sessions_while_the_old_one_is_a_fallback(settings: Any) -> None:
    session = saved(a=1, b=[2])
    old_key = key_of(session)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second secret", ["the first secret"]
    copy = SessionStore(session.session_key)
    assert copy["b"] == [2]
    copy["c"] = 3
    copy.save()
    assert not client().exists(old_key)
    settings.SECRET_KEY_FALLBACKS = []
    assert data_of(session) == {"a": 1, "b": [2], "c": 3}


def test_downgrade_what_an_old_secret_sealed_is_nothing_without_it(settings: Any) -> None:
    session = saved(**{SESSION_KEY: "1"})
    old = client().hgetall(key_of(session))
    settings.SECRET_KEY = "the second secret"
    assert data_of(session) == {}
    client().hset(state().key(session.store_name()), mapping=old)
    assert data_of(session) == {}


def test_logging_out_ends_a_session_of_an_older_secret(settings: Any) -> None:
    session = saved(a=1)
    old_key = key_of(session)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second secret", ["the first secret"]
    copy = SessionStore(session.session_key)
    assert copy["a"] == 1
    copy.flush()
    assert not client().exists(old_key)


def test_switching_encryption_on_and_off_keeps_sessions(settings: Any, encrypts: bool) -> None:
    session = saved(a=1, b="text")
    settings.CACHEAPP = {"SESSIONS": {"ENCRYPT": not encrypts}}
    copy = SessionStore(session.session_key)
    assert (copy["a"], copy["b"]) == (1, "text")
    copy["a"] = 2
    copy.save()
    # Each key once: of two forms of one, which counts would be chance.
    assert len([field for field in client().hgetall(key_of(session)) if field[1:]]) == 2
    assert data_of(session) == {"a": 2, "b": "text"}
    other = SessionStore(session.session_key)
    del other["b"]
    other.save()
    assert data_of(session) == {"a": 2}


def test_values_are_json() -> None:
    session = saved(a={"b": [1, None]})
    with pytest.raises(TypeError):
        saved(a=object())
    assert json.dumps(data_of(session)) == '{"a": {"b": [1, null]}}'
