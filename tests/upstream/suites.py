"""The test classes of one run: Django's, with the candidate in the place of their own backend.

Most of Django's cache and session tests ask for LocMemCache by its path. While their modules are
imported here, every CACHES setting which names it names the candidate instead, and so do the three
helper backends that derive from it. What remains is choosing: the backend's own class over
Django's seven aliases, the classes above the cache, and single tests of other backends' classes
which hold for any backend. Two things are changed in Django's tests, and no more: what one of them
patches in the async modes (see `_racing`), and how long they sleep (see child.py).
"""

from __future__ import annotations

import importlib
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from django.conf import settings
from django.test import TestCase, override_settings
from django.utils.module_loading import import_string

from tests.upstream.candidates import LOCMEM_PATH, Candidate

HTTP_CLASSES = (
    "CacheUtils",
    "PrefixedCacheUtils",
    "CacheHEADTest",
    "CacheI18nTest",
    "PrefixedCacheI18nTest",
    "CacheMiddlewareTest",
    "TestWithTemplateResponse",
    "TestMakeTemplateFragmentKey",
    "CacheHandlerTest",
    "DefaultNonExpiringCacheKeyTests",
    "CustomCacheKeyValidationTests",
    "CacheClosingTests",
)
SESSION_CLASSES = ("CacheSessionTests", "CacheDBSessionTests", "CacheDBSessionWithTimeZoneTests")
# Tests of other backends' classes that ask for nothing of those backends.
BORROWED = {
    "LocMemCacheTests": ("test_multiple_caches",),
    "BaseMemcachedTests": (
        "test_default_never_expiring_timeout",
        "test_default_far_future_timeout",
        "test_memcached_deletes_key_on_failed_set",
    ),
}
# The rest of AsyncDummyCacheTests asserts that nothing is ever stored.
ASYNC_TESTS = (
    "test_non_existent",
    "test_aget_many_invalid_key",
    "test_aset_many",
    "test_aset_many_invalid_key",
    "test_adelete_many",
    "test_adelete_many_invalid_key",
    "test_aclear",
    "test_aclose",
    "test_aget_or_set_callable",
)
HELPER_BACKENDS = ("cache.liberal_backend", "cache.closeable_cache", "cache.failing_cache")
# Where Django looks a cache up: what twins are put into (see twins.py).
CACHE_USERS = (
    "cache.tests",
    "sessions_tests.tests",
    "django.middleware.cache",
    "django.utils.cache",
    "django.contrib.sessions.backends.cache",
    "django.contrib.sessions.backends.cached_db",
)


class Substitution:
    """Turns CACHES settings which name LocMemCache into ones that name the candidate.

    LocMemCache keeps a store for each LOCATION; here each gets a database number of its own.
    """

    def __init__(self, candidate: Candidate, params: Mapping[str, Any]) -> None:
        self._same = candidate.backend == LOCMEM_PATH
        self._params = params
        self._databases: dict[str, int] = {"": 0}

    def caches(self, setting: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """A CACHES setting in which each such entry is substituted, the rest as it was."""
        return {alias: self._entry(dict(entry)) for alias, entry in setting.items()}

    def _entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        backend = entry.get("BACKEND", "")
        helper = backend.rpartition(".")[0] in HELPER_BACKENDS
        if self._same or not (helper or backend == LOCMEM_PATH):
            return entry
        changed = {**self._params, **entry}
        changed["BACKEND"] = backend if helper else self._params["BACKEND"]
        changed["LOCATION"] = self._location(entry.get("LOCATION", ""))
        changed["OPTIONS"] = {**self._params.get("OPTIONS", {}), **entry.get("OPTIONS", {})}
        return changed

    def _location(self, name: str) -> str:
        database = self._databases.setdefault(name, len(self._databases))
        # Database 0 goes unnamed: a number in the URL would win over one in OPTIONS.
        return f"{self._params['LOCATION']}/{database}" if database else self._params["LOCATION"]

    @contextmanager
    def importing(self) -> Iterator[None]:
        """While this lasts, what is imported gets the candidate for LocMemCache."""
        original = override_settings.__init__

        def substituted(overriding: override_settings, **options: Any) -> None:
            if "CACHES" in options:
                options["CACHES"] = self.caches(options["CACHES"])
            original(overriding, **options)

        backend = import_string(self._params["BACKEND"])
        with (
            mock.patch.object(override_settings, "__init__", substituted),
            mock.patch("django.core.cache.backends.locmem.LocMemCache", backend),
        ):
            yield


class Suites:
    """The imported tests for one candidate; `tests()` gives those that apply to it."""

    def __init__(self, candidate: Candidate, server: str, params: Mapping[str, Any]) -> None:
        self.candidate = candidate
        self.server = server
        self.params = dict(params)
        with Substitution(candidate, params).importing():
            for name in HELPER_BACKENDS:
                importlib.import_module(name)
            self.cache_tests = importlib.import_module("cache.tests")
            self.async_tests = importlib.import_module("cache.tests_async")
            self.session_tests = importlib.import_module("sessions_tests.tests")
        self.not_applicable: dict[str, str] = {}

    def users(self) -> list[ModuleType]:
        """The modules which look caches up, for twins to be put into."""
        return [importlib.import_module(name) for name in CACHE_USERS]

    def tests(self, *, through_twins: bool) -> Iterator[unittest.TestCase]:
        """Every test that applies; the others are in `not_applicable` afterwards, with the reason.

        `through_twins` is for a run whose caches are twins.
        """
        reasons = self.candidate.reasons(self.server)
        for case in self._classes(through_twins=through_twins):
            for name in unittest.defaultTestLoader.getTestCaseNames(case):
                full_name = f"{case.__name__}.{name}"
                if full_name in reasons:
                    self.not_applicable[full_name] = reasons[full_name]
                else:
                    yield case(name)

    def _classes(self, *, through_twins: bool) -> Iterator[type[unittest.TestCase]]:
        extra = {"test_get_or_set_racing": self._racing()} if through_twins else {}
        yield from self._backend_classes(extra)
        for name in HTTP_CLASSES:
            yield getattr(self.cache_tests, name)
        yield self._async_class()
        for name in SESSION_CLASSES:
            yield getattr(self.session_tests, name)
        yield from self._middleware_classes()
        if self.candidate.label == "cacheapp":
            yield from self._own_session_classes()

    def _backend_classes(self, extra: dict[str, Any]) -> Iterator[type[unittest.TestCase]]:
        # Django's own backends have a class of theirs: the base tests and a few of their own.
        own = {"locmem": "LocMemCacheTests", "django": "RedisCacheTests"}.get(self.candidate.label)
        if own is not None:
            yield type(own, (getattr(self.cache_tests, own),), extra)
            return
        setting = self.cache_tests.caches_setting_for_tests(
            base=self.params, exclude=self.candidate.aliases_left_out
        )
        members = {
            "incr_decr_type_error": tuple(map(import_string, self.candidate.incr_errors)),
            **extra,
        }
        bases = (self.cache_tests.BaseCacheTests, TestCase)
        yield override_settings(CACHES=setting)(type("BackendTests", bases, members))
        for source, names in self._borrowed().items():
            tests = {name: getattr(getattr(self.cache_tests, source), name) for name in names}
            borrowed = type(source, (TestCase,), {**tests, "base_params": self.params})
            yield override_settings(CACHES=setting)(borrowed)

    def _borrowed(self) -> dict[str, tuple[str, ...]]:
        # What RedisCacheTests adds to the base tests is looked up, so that what a later Django
        # adds there runs here too, until it is seen not to apply.
        base = set(dir(self.cache_tests.BaseCacheTests))
        added = vars(self.cache_tests.RedisCacheTests)
        redis = tuple(name for name in added if name.startswith("test") and name not in base)
        return {**BORROWED, "RedisCacheTests": redis}

    def _async_class(self) -> type[unittest.TestCase]:
        source = self.async_tests.AsyncDummyCacheTests
        tests = {name: getattr(source, name) for name in ASYNC_TESTS}
        made = type("AsyncDummyCacheTests", (TestCase,), {**tests, "tearDown": _clear_default})
        return override_settings(CACHES={"default": self.params})(made)

    def _middleware_classes(self) -> Iterator[type[unittest.TestCase]]:
        source = self.session_tests.SessionMiddlewareTests
        for engine, name in (("cache", "CacheEngine"), ("cached_db", "CachedDBEngine")):
            made = type(f"{name}MiddlewareTests", (source,), {})
            path = f"django.contrib.sessions.backends.{engine}"
            yield override_settings(SESSION_ENGINE=path)(made)

    def _own_session_classes(self) -> Iterator[type[unittest.TestCase]]:
        """The session tests on our SESSION_ENGINE, and the middleware's with Django's and ours."""
        from cacheapp.sessions import SessionStore
        from cacheapp.sessions.middleware import SessionMiddleware

        setting = override_settings(
            SESSION_ENGINE="cacheapp.sessions", CACHES={"default": self.params}
        )
        bases = (self.session_tests.SessionTestsMixin, TestCase)
        yield setting(type("OwnSessionTests", bases, {"backend": SessionStore}))
        source = self.session_tests.SessionMiddlewareTests
        yield setting(type("OwnEngineMiddlewareTests", (source,), {}))
        ours = mock.patch.object(self.session_tests, "SessionMiddleware", SessionMiddleware)
        yield setting(ours(type("OwnMiddlewareTests", (source,), {})))

    def _racing(self) -> Callable[[unittest.TestCase], None]:
        # Django's test makes add() fail, by patching it; aget_or_set() calls aadd().
        module = self.cache_tests

        def test_get_or_set_racing(case: unittest.TestCase) -> None:
            path = f"{settings.CACHES['default']['BACKEND']}.aadd"
            with mock.patch(path, new=mock.AsyncMock(return_value=False)):
                assert module.cache.get_or_set("key", "default") == "default"

        return test_get_or_set_racing


def _clear_default(case: unittest.TestCase) -> None:
    importlib.import_module("django.core.cache").cache.clear()
