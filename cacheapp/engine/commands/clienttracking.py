"""The CLIENT commands of client-side caching: TRACKING, CACHING, GETREDIR, TRACKINGINFO.

They check what was asked, in Redis's order; `tracking` does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import (
    BCAST_WITH_OPT,
    CACHING_NO,
    CACHING_UNTRACKED,
    CACHING_YES,
    OPTIN_AND_OPTOUT,
    PREFIX_WITHOUT_BCAST,
    REDIRECTED_TO_NOBODY,
    REDIRECTED_TWICE,
    SYNTAX,
    CommandError,
    overlapping_prefixes,
    tracking_mode_is_set,
)
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply, SetReply
from cacheapp.engine.session import Session
from cacheapp.engine.tracking import BCAST, OPTIN, OPTOUT

_FLAGS = "noscript loading stale"


@dataclass(slots=True)
class _Options:
    """What CLIENT TRACKING was given after ON or OFF."""

    words: set[str] = field(default_factory=set)
    redirect: int = 0
    prefixes: list[bytes] = field(default_factory=list)

    @property
    def mode(self) -> str:
        return next((mode for mode in (BCAST, OPTIN, OPTOUT) if mode in self.words), "")


@command(
    "CLIENT|TRACKING", arity=-3, flags=_FLAGS, group="connection", since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
    summary="Controls server-assisted client-side caching for the connection.",
)  # fmt: skip
def client_tracking(ctx: Session, switch: bytes, *arguments: bytes) -> Reply:
    options = _parse(ctx, arguments)
    tracking = ctx.engine.tracking
    wanted = switch.lower()
    if wanted == b"off":
        tracking.stop(ctx)
    elif wanted == b"on":
        _check(ctx, options)
        tracking.start(
            ctx,
            options.mode,
            noloop="noloop" in options.words,
            redirect=options.redirect,
            prefixes=options.prefixes,
        )
    else:
        raise CommandError(SYNTAX)
    return OK


def _parse(ctx: Session, arguments: Sequence[bytes]) -> _Options:
    options = _Options()
    words = iter(arguments)
    for word in words:
        name = word.lower()
        if name in (b"bcast", b"optin", b"optout", b"noloop"):
            options.words.add(name.decode())
            continue
        value = next(words, None) if name in (b"redirect", b"prefix") else None
        if value is None:
            raise CommandError(SYNTAX)
        if name == b"prefix":
            options.prefixes.append(value)
        elif options.redirect:
            raise CommandError(REDIRECTED_TWICE)
        else:
            options.redirect = parse_int(value)
            if options.redirect not in ctx.engine.sessions:
                raise CommandError(REDIRECTED_TO_NOBODY)
    return options


def _check(ctx: Session, options: _Options) -> None:
    """Refuse what does not go together, among itself or with how the session tracks already."""
    words, tracker = options.words, ctx.tracking
    if options.prefixes and BCAST not in words:
        raise CommandError(PREFIX_WITHOUT_BCAST)
    if tracker is not None and (tracker.mode == BCAST) != (BCAST in words):
        raise tracking_mode_is_set("BCAST mode on/off")
    if BCAST in words and words & {OPTIN, OPTOUT}:
        raise CommandError(BCAST_WITH_OPT)
    if words >= {OPTIN, OPTOUT}:
        raise CommandError(OPTIN_AND_OPTOUT)
    if tracker is not None and {tracker.mode, *words} >= {OPTIN, OPTOUT}:
        raise tracking_mode_is_set("OPTIN/OPTOUT mode")
    known = sorted(tracker.prefixes) if tracker is not None else []
    for index, prefix in enumerate(options.prefixes):
        for other in known:
            if _overlap(prefix, other):
                raise overlapping_prefixes(prefix, "an existing", other)
        for other in options.prefixes[index + 1 :]:
            if _overlap(prefix, other):
                raise overlapping_prefixes(prefix, "another provided", other)


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


@command(
    "CLIENT|CACHING", arity=3, flags=_FLAGS, group="connection", since="6.0.0",
    summary="Instructs the server whether to track the keys in the next request.",
)  # fmt: skip
def client_caching(ctx: Session, switch: bytes) -> Reply:
    tracker = ctx.tracking
    if tracker is None:
        raise CommandError(CACHING_UNTRACKED)
    wanted = switch.lower()
    if wanted not in (b"yes", b"no"):
        raise CommandError(SYNTAX)
    if wanted == b"yes" and tracker.mode != OPTIN:
        raise CommandError(CACHING_YES)
    if wanted == b"no" and tracker.mode != OPTOUT:
        raise CommandError(CACHING_NO)
    tracker.caching = True
    return OK


@command(
    "CLIENT|GETREDIR", arity=2, flags=_FLAGS, group="connection", since="6.0.0",
    summary="Returns the client ID to which the connection's tracking is redirected.",
)  # fmt: skip
def client_getredir(ctx: Session) -> Reply:
    return -1 if ctx.tracking is None else ctx.tracking.redirect


@command(
    "CLIENT|TRACKINGINFO", arity=2, flags=_FLAGS, group="connection", since="6.2.0",
    summary="Returns information about server-assisted client-side caching.", shaped=True,
)  # fmt: skip
def client_trackinginfo(ctx: Session) -> Reply:
    tracker = ctx.tracking
    if tracker is None:
        return {b"flags": SetReply([b"off"]), b"redirect": -1, b"prefixes": []}
    flags = SetReply([b"on"])
    if tracker.mode:
        flags.append(tracker.mode.encode())
    if tracker.caching and tracker.mode:
        flags.append(b"caching-yes" if tracker.mode == OPTIN else b"caching-no")
    if tracker.noloop:
        flags.append(b"noloop")
    if tracker.broken:
        flags.append(b"broken_redirect")
    return {
        b"flags": flags,
        b"redirect": tracker.redirect,
        b"prefixes": sorted(tracker.prefixes),
    }
