"""``SessionStore``: a session as a hash on the server, a field a key.

A save writes the keys that this request changed and deletes those that it deleted, in one script
that runs only if the session still exists: two requests that change different keys both win, and
one that was revoked or logged out does not come back. Loading is one HGETALL. Nothing is written
where nothing changed, and an unmodified session that is saved all the same (under
SESSION_SAVE_EVERY_REQUEST) costs one PEXPIRE.

What is done is written once, as steps (see ``cacheapp.cache.steps``); each method of SessionBase
has an asynchronous twin that waits on ``redis.asyncio``. On an engine in the process nothing waits,
and the twin runs the synchronous form.

Left out on purpose: merging inside a value (see ``fields``), and a near cache. A session that
another process ended must be gone at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter, methodcaller
from time import time
from typing import Any, Final

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils import timezone
from django.utils.crypto import get_random_string

from cacheapp.cache.servers import SERVER_ERRORS
from cacheapp.cache.steps import Steps, adrive, drive, run_script
from cacheapp.sessions import elsewhere, places
from cacheapp.sessions.fields import Fields, fields_of
from cacheapp.sessions.meta import ADDRESS_MAX, META_FIELD, USER_AGENT_MAX, Meta, seen_ms
from cacheapp.sessions.scripts import CYCLE, SAVE
from cacheapp.sessions.signals import session_revoked

#: Attempts to find a free key, or to move a session that others are writing to.
ATTEMPTS_MAX: Final = 100
_KEY_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"

#: SessionBase's name for the key that holds a session's own expiry.
_EXPIRY: Final = "_session_expiry"
# Their fields, and that of the key that says whose session it is, where names are not hidden.
_EXPIRY_FIELD: Final = b"." + _EXPIRY.encode()
_USER_FIELD: Final = b"." + SESSION_KEY.encode()

Client = Callable[[], tuple[str, str]]


class SessionStore(SessionBase):
    """The session called ``session_key``, or a new one. See Django's SessionBase.

    Raises redis-py's errors while the server does not answer: a session that cannot be read is not
    an empty one.
    """

    accessed = False
    modified = False
    #: Gives address and user agent of whoever uses the session; the middleware sets it.
    client: Client | None = None
    _session_cache: Any
    _own_key: str | None
    # Whether what is saved takes the place of everything (after clear()).
    _replaces = False
    # What was loaded beside the keys, and under which name where that is not its key's any more.
    _raw_meta: bytes | None = None
    _older_name: str | None = None

    def __init__(self, session_key: str | None = None) -> None:
        # SessionBase's imports the serializer each time.
        self._session_key = session_key

    def _set_session_key(self, value: str | None) -> None:
        self._own_key = value if self._validate_session_key(value) else None  # type: ignore[attr-defined]

    # SessionBase's have a method behind a property behind a property.
    session_key = property(attrgetter("_own_key"))
    _session_key = property(attrgetter("_own_key"), _set_session_key)

    def __getitem__(self, name: str) -> Any:
        self.accessed = True
        # Looking is cheaper than failing, and before it has loaded there is no such attribute.
        held = self.__dict__.get("_session_cache")
        return (self._get_session() if held is None else held)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.accessed = self.modified = True
        held = self.__dict__.get("_session_cache")
        (self._get_session() if held is None else held)[name] = value

    def _get_session(self, no_load: bool = False) -> Any:
        self.accessed = True
        held = self.__dict__.get("_session_cache")
        if held is None:
            held = self._session_cache = self._new_fields() if no_load else self.load()
        return held

    async def _aget_session(self, no_load: bool = False) -> Any:
        self.accessed = True
        held = self.__dict__.get("_session_cache")
        if held is None:
            held = self._session_cache = self._new_fields() if no_load else await self.aload()
        return held

    _session = property(_get_session)

    @property
    def serializer(self) -> Any:
        """The class that SESSION_SERIALIZER names."""
        return type(places.state().serializer)

    # Waiting

    def _run(self, steps: Steps[Any]) -> Any:
        server = places.state().server
        return server.guard(drive, steps, server.client())

    async def _arun(self, steps: Steps[Any]) -> Any:
        server = places.state().server
        if server.in_process:
            return server.guard(drive, steps, server.client())
        return await server.aguard(adrive(steps, server.async_client()))

    # Loading

    def load(self) -> Fields:
        """Return the session's data; where it does not exist, nothing, and its key is forgotten."""
        session_key = self._own_key
        if session_key is None:
            return self._nothing()
        state = places.state()
        server = state.server
        if state.loads_plainly and not server.outages.is_open:
            # What most loads come to, written out.
            key = state.keys.get(session_key) or state.key_of(session_key)
            try:
                stored = server.client().fetch_fields(key)
            except SERVER_ERRORS as error:
                server.outages.failed(error, writes=False)
                raise
            found = self._taken(key, stored)
            return self._nothing() if found is None else found
        found = self._run(self._load())
        if found is None and state.settings.reads_elsewhere:
            found = self._adopted(elsewhere.load(self))
        return self._nothing() if found is None else found

    async def aload(self) -> Fields:
        """See load()."""
        if self._own_key is None:
            return self._nothing()
        state = places.state()
        if state.server.in_process and state.loads_plainly:
            return self.load()
        found: Fields | None = await self._arun(self._load())
        if found is None and state.settings.reads_elsewhere:
            found = await self._aadopted(await elsewhere.aload(self))
        return self._nothing() if found is None else found

    def _load(self) -> Steps[Fields | None]:
        session_key = self.session_key
        assert session_key is not None
        state = places.state()
        for name in state.sealer.hashes(session_key):
            key = state.key(name)
            stored = yield methodcaller("fetch_fields", key)
            if stored:
                if name != state.name(session_key):
                    self._older_name = name
                return self._taken(key, stored)
        return None

    def _taken(self, key: bytes, stored: dict[bytes, bytes]) -> Fields | None:
        # Without that field it is not a session of ours.
        raw_meta = self._raw_meta = stored.pop(META_FIELD, None)
        return None if raw_meta is None else fields_of(places.state().coder, key, stored)

    def _nothing(self) -> Fields:
        self._own_key = None
        return self._new_fields()

    def _new_fields(self) -> Fields:
        return fields_of(places.state().coder, self._key() if self._own_key else b"", {})

    def _adopted(self, data: dict[str, Any] | None) -> Fields | None:
        """Take what another store had, under the same key, as a new session of ours."""
        if data is None:
            return None
        self._session_cache = self._new_fields()
        self._session_cache.update(data)
        try:
            self.save(must_create=True)
        except CreateError:
            found: Fields | None = self._run(self._load())  # another request was quicker
            return found
        elsewhere.forget(self)
        return self._session_cache

    async def _aadopted(self, data: dict[str, Any] | None) -> Fields | None:
        """See _adopted()."""
        if data is None:
            return None
        self._session_cache = self._new_fields()
        self._session_cache.update(data)
        try:
            await self.asave(must_create=True)
        except CreateError:
            found: Fields | None = await self._arun(self._load())
            return found
        await elsewhere.aforget(self)
        return self._session_cache

    def store_name(self, session_key: str | None = None) -> str:
        """Return the name in the store of a session key, this session's by default."""
        key = session_key or self.session_key
        assert key is not None
        return places.state().name(key)

    def _key(self) -> bytes:
        return places.state().key(self.store_name())

    # Saving

    def save(self, must_create: bool = False) -> None:
        """Write what changed. Raises CreateError, UpdateError as Django has them."""
        if self._own_key is None:
            return self.create()
        self._get_session(no_load=must_create)
        if must_create or not self._saved_plainly():
            self._after_save(self._run(self._save(must_create)), must_create)
            if places.state().settings.writes_database:
                elsewhere.write(self)
                if not self.exists(self.session_key or ""):
                    # Ended meanwhile: whoever did that deleted the row before it was written.
                    elsewhere.ended(self.store_name())
        return None

    async def asave(self, must_create: bool = False) -> None:
        """See save()."""
        if self._own_key is None:
            return await self.acreate()
        await self._aget_session(no_load=must_create)
        if must_create or not self._saved_plainly():
            await self._aafter_save(await self._arun(self._save(must_create)), must_create)
            if places.state().settings.writes_database:
                await elsewhere.awrite(self)
                if not await self.aexists(self.session_key or ""):
                    await elsewhere.aended(self.store_name())
        return None

    def _saved_plainly(self) -> bool:
        """Do what most saves on an engine come to, written out: set fields, and nothing else.

        Returns False, and has done nothing, where it is not that; raises UpdateError.
        """
        state, fields, raw_meta = places.state(), self._session_cache, self._raw_meta
        if (
            not state.saves_plainly
            or state.server.outages.is_open
            or raw_meta is None
            or self._replaces
            or self._older_name is not None
            or fields.__class__ is not Fields
            or fields.place != state.keys.get(self._own_key or "")
            or int(time() * 1000) - seen_ms(raw_meta) >= state.seen_ms
            or _EXPIRY_FIELD in fields.raw
            or dict.__contains__(fields, _EXPIRY)
        ):
            return False
        pairs, deleted = fields.changes()
        if deleted or not pairs or _USER_FIELD in pairs:
            return False
        life_ms = self.get_session_cookie_age() * 1000
        done = state.server.client().set_fields(fields.place, pairs, life_ms)
        if done is None:
            return False
        if not done:
            raise UpdateError
        fields.saved(pairs)
        return True

    def _save(self, must_create: bool) -> Steps[list[Any]]:
        """The script's reply: whether it was written, and the sessions that had to go."""
        state, fields = places.state(), self._fields()
        name = self.store_name()
        if self._older_name is not None and not must_create:
            yield from self._move(self._older_name, name)
        key = state.key(name)
        if must_create:
            self._session_cache = fields = self._rebound(fields)
        fields.moved(key)
        pairs, deleted = fields.changes()
        now_ms = int(time() * 1000)
        raw_meta = None if must_create else self._raw_meta
        is_seen = raw_meta is None or now_ms - seen_ms(raw_meta) >= state.seen_ms
        meta = None
        if is_seen or self._replaces or state.settings.lifetime_s is not None:
            meta = Meta.open(state.sealer, key, raw_meta) or Meta(now_ms, now_ms)
        life_ms = self._life_ms(meta, now_ms)
        if not (pairs or deleted or is_seen or self._replaces):
            return [int((yield methodcaller("pexpire", key, life_ms)))]
        mode = b"create" if must_create else b"replace" if self._replaces else b"update"
        written = list(pairs)
        if meta is not None and (is_seen or self._replaces):
            raw_meta = self._met(meta, now_ms).seal(state.sealer, key)
            written += (META_FIELD, raw_meta)
        arguments = [mode, life_ms, len(written) // 2, *written, len(deleted), *deleted]
        keys = [key]
        if is_seen or fields.new_field(SESSION_KEY) in pairs:
            user_id = fields.get(SESSION_KEY)
            if user_id is not None:
                keys.append(state.index_key(str(user_id)))
                arguments += self._index_arguments(name, life_ms)
        reply: list[Any] = yield from run_script(SAVE, keys, arguments)
        if reply[0]:
            fields.saved(pairs)
            self._raw_meta, self._replaces = raw_meta, False
        return reply

    def _fields(self) -> Fields:
        """The session's data; what a subclass may have put in its place is taken over."""
        held: Any = self._session_cache
        if not isinstance(held, Fields):
            taken = self._new_fields()
            taken.update(held)
            self._session_cache = held = taken
        return held

    def _met(self, meta: Meta, now_ms: int) -> Meta:
        """``meta`` with who uses the session now, as far as the settings keep it."""
        meta.seen_ms = now_ms
        if self.client is not None:
            settings = places.state().settings
            address, user_agent = self.client()
            meta.address = address[:ADDRESS_MAX] if settings.keeps_address else ""
            meta.user_agent = user_agent[:USER_AGENT_MAX] if settings.keeps_user_agent else ""
        return meta

    @staticmethod
    def _index_arguments(name: str, life_ms: int) -> tuple[Any, ...]:
        state = places.state()
        # Between two entries the session's own deadline moves on by PEXPIRE alone.
        stay_ms = max(1, life_ms) + state.settings.seen_s * 1000
        return name.encode(), stay_ms, state.settings.max_per_user, state.head

    def _life_ms(self, meta: Meta | None, now_ms: int) -> int:
        """Milliseconds until the session ends; not positive if it has."""
        state = places.state()
        expiry = self._fields().get(_EXPIRY)
        if not expiry:
            life_ms = self.get_session_cookie_age() * 1000
        elif isinstance(expiry, (datetime, str)):
            now = timezone.now()
            life_ms = int(self.get_expiry_age(expiry=expiry, modification=now) * 1000)
        else:
            life_ms = int(expiry * 1000)
        lifetime_s = state.settings.lifetime_s
        if lifetime_s is not None and meta is not None:
            life_ms = min(life_ms, meta.created_ms + lifetime_s * 1000 - now_ms)
        return life_ms

    def _after_save(self, reply: list[Any], must_create: bool) -> None:
        self._verdict(reply, must_create)
        for name in reply[1:]:
            elsewhere.ended(name.decode())
            session_revoked.send(SessionStore, session_id=name.decode(), reason="limit")

    async def _aafter_save(self, reply: list[Any], must_create: bool) -> None:
        self._verdict(reply, must_create)
        for name in reply[1:]:
            await elsewhere.aended(name.decode())
            await session_revoked.asend(SessionStore, session_id=name.decode(), reason="limit")

    @staticmethod
    def _verdict(reply: list[Any], must_create: bool) -> None:
        if not reply[0]:
            raise CreateError if must_create else UpdateError

    # Creating, moving, ending

    def create(self) -> None:
        """Make a new, empty session under a key that nobody has."""
        for _ in range(ATTEMPTS_MAX):
            self._begin()
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            return
        raise RuntimeError("no free session key was found; is the random generator broken?")

    async def acreate(self) -> None:
        """See create()."""
        for _ in range(ATTEMPTS_MAX):
            self._begin()
            try:
                await self.asave(must_create=True)
            except CreateError:
                continue
            return
        raise RuntimeError("no free session key was found; is the random generator broken?")

    def _begin(self) -> None:
        # 36^32: a key is free unless the script says otherwise.
        self._session_key = get_random_string(32, _KEY_CHARACTERS)
        self._older_name = self._raw_meta = None
        self.modified = True
        # SessionBase promises that what was set before the session had a key is saved with it.
        self._session_cache = self._rebound(self.__dict__.get("_session_cache"))

    def _rebound(self, held: Any) -> Fields:
        fresh = self._new_fields()
        if held is not None:
            fresh.update(held)
        return fresh

    def cycle_key(self) -> None:
        """Give the session a new key, in one step; nothing answers to the old one afterwards.

        Changes not saved yet stay to be saved. One that was ended meanwhile is begun anew, unless
        somebody was signed in: SessionInterrupted.
        """
        self._get_session()
        old_name = None if self.session_key is None else self.store_name()
        if old_name is not None and self._run(self._cycle()):
            elsewhere.ended(old_name)
        else:
            self._may_begin_anew()
            self.create()

    async def acycle_key(self) -> None:
        """See cycle_key()."""
        await self._aget_session()
        old_name = None if self.session_key is None else self.store_name()
        if old_name is not None and await self._arun(self._cycle()):
            await elsewhere.aended(old_name)
        else:
            self._may_begin_anew()
            await self.acreate()

    def _may_begin_anew(self) -> None:
        if self.session_key is not None and self._fields().get(SESSION_KEY) is not None:
            raise SessionInterrupted(
                "The request's session was ended before it could get another key."
            )

    def _cycle(self) -> Steps[bool]:
        """Whether there was a session to move."""
        self._fields().open_all()
        new_key = get_random_string(32, _KEY_CHARACTERS)
        old_name = self._older_name or self.store_name()
        done: bool = yield from self._move(old_name, self.store_name(new_key))
        if done:
            self._session_key = new_key
            self.modified = True
        return done

    def _move(self, old_name: str, new_name: str) -> Steps[bool]:
        """Move what is stored, sealed anew, whatever others write meanwhile."""
        state = places.state()
        old_key, new_key = state.key(old_name), state.key(new_name)
        for _ in range(ATTEMPTS_MAX):
            stored = yield methodcaller("hgetall", old_key)
            meta = Meta.open(state.sealer, old_key, stored.get(META_FIELD))
            if meta is None:
                return False
            kept = {field: raw for field, raw in stored.items() if field != META_FIELD}
            fresh = fields_of(state.coder, old_key, kept).resealed(new_key)
            meta.seen_ms = 0  # the next save enters the new name into the index
            fresh[META_FIELD] = meta.seal(state.sealer, new_key)
            life_ms = max(1, self._life_ms(meta, int(time() * 1000)))
            arguments: list[Any] = [life_ms, len(stored)]
            arguments += (part for pair in stored.items() for part in pair)
            arguments.append(len(fresh))
            arguments += (part for pair in fresh.items() for part in pair)
            arguments.append(old_name.encode())
            keys = [old_key, new_key]
            user_id = self._fields().get(SESSION_KEY)
            if user_id is not None:
                keys.append(state.index_key(str(user_id)))
            reply = yield from run_script(CYCLE, keys, arguments)
            if reply == 1:
                self._older_name, self._raw_meta = None, fresh[META_FIELD]
                self._fields().moved(new_key)
                return True
            if reply == -1:
                return False
        raise UpdateError("the session was written to at each of many attempts to move it")

    def clear(self) -> None:
        """Empty the session; what it holds goes when it is saved, seen by this request or not."""
        self._session_cache = self._new_fields()
        self._replaces = True
        self.accessed = True
        self.modified = True

    def exists(self, session_key: str) -> bool:
        """Whether there is a session under ``session_key``."""
        return bool(session_key) and bool(self._run(self._exists(session_key)))

    async def aexists(self, session_key: str) -> bool:
        """See exists()."""
        return bool(session_key) and bool(await self._arun(self._exists(session_key)))

    @staticmethod
    def _exists(session_key: str) -> Steps[int]:
        state = places.state()
        keys = [state.key(name) for name in state.sealer.hashes(session_key)]
        return (yield lambda client: client.exists(*keys))

    def delete(self, session_key: str | None = None) -> None:
        """End the session under ``session_key``, this one by default."""
        session_key = session_key or self.session_key
        if session_key is not None:
            self._run(self._delete(session_key))
            elsewhere.ended(self.store_name(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        """See delete()."""
        session_key = session_key or self.session_key
        if session_key is not None:
            await self._arun(self._delete(session_key))
            await elsewhere.aended(self.store_name(session_key))

    @staticmethod
    def _delete(session_key: str) -> Steps[int]:
        state = places.state()
        keys = [state.key(name) for name in state.sealer.hashes(session_key)]
        return (yield lambda client: client.delete(*keys))

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing to do: every session has a deadline on the server."""

    @classmethod
    async def aclear_expired(cls) -> None:
        """See clear_expired()."""
