"""Which arguments redis-py's connections and pools take, and what is wrong with others.

redis-py hands whatever a URL or a dict says to a connection's ``__init__``, so a typing error is
a TypeError of some inner class when the first command is sent. Here the names are read from the
signatures of redis-py's own classes, so that the error comes early and names the argument.

Left out on purpose: arguments of connection classes that a caller brings. Only they know them.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from functools import cache

import redis.connection

#: Our pool's for real servers, and what a Sentinel's URL says in its own options.
OWN_ARGUMENTS = frozenset({"is_master", "looks"})


@cache
def known_arguments() -> frozenset[str]:
    """Return the names of all arguments of redis-py's connections and pools, and of ours."""
    classes = (
        redis.connection.Connection,
        redis.connection.SSLConnection,
        redis.connection.UnixDomainSocketConnection,
        redis.connection.BlockingConnectionPool,
    )
    bases = {base for made in classes for base in made.__mro__ if "__init__" in vars(base)}
    return OWN_ARGUMENTS.union(
        name
        for base in bases - {object}
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    )


def what_is_unknown(names: Iterable[str]) -> str:
    """Return a text that names the first of ``names`` that is no argument, or "" if all are.

    With the nearest known name, where there is one.
    """
    known = known_arguments()
    unknown = next((str(name) for name in names if name not in known), None)
    if unknown is None:
        return ""
    near = difflib.get_close_matches(unknown, sorted(known), n=1)
    return f"unknown option {unknown!r}" + (f"; did you mean {near[0]!r}?" if near else "")
