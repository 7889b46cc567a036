"""Django's own cache and session tests, run against our backend and its peers.

Django tests a cache backend with `tests/cache` and `tests/sessions_tests` of its source
distribution, which an installed Django does not carry. `python -m tests.upstream` fetches them for
the installed version and runs each of them on every backend and server asked for, as Django wrote
them and once more through every `a*` method. docs/upstream.md explains how to read the result.
Left out on purpose: tests of the other backends' own workings (database tables, cache files,
memcached servers), which say nothing about a backend that is not theirs.
"""
