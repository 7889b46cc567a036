"""Several commands of one session as one: `Engine.execute` for each, its lock taken once.

A pipeline pays for the lock, the epoch and two looks at the clock at every command, and the end of
one command is the beginning of the next. Nobody else comes between the commands of a batch, which
is more than a pipeline promises; so that others do come, a batch lets go after a number of them.

A command that has to wait, or ends the session, ends the batch too: what follows it is for who
runs the rest, in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from cacheapp.engine.errors import CommandError, SessionEndedError
from cacheapp.engine.registry import COMMANDS, Command
from cacheapp.engine.replies import BLOCKED, OK, Reply, to_resp2
from cacheapp.engine.session import Session
from cacheapp.engine.stats import TIMES_MAX

# How many commands run under one lock.
BATCH_MAX = 128


def execute_batch(session: Session, commands: Sequence[list[bytes]], start: int = 0) -> list[Reply]:
    """Run `commands` from `start` on; their replies, errors among them as CommandError instances.

    Fewer replies than commands: the last one is BLOCKED, has closed the session, or was the last
    of a batch. Raises SessionEndedError where somebody has ended the session before.
    """
    engine = session.engine
    clock, waiters, stats = engine.clock.time, engine.waiters, engine.stats.commands
    replies: list[Reply] = []
    add, known = replies.append, COMMANDS.get
    with engine.lock:
        engine.epoch += 1
        try:
            now = clock()
            for args in commands[start : start + BATCH_MAX]:
                row = known(args[0])
                try:
                    if (
                        row is None
                        or now >= engine.rest_until
                        or session.special
                        or not row.count_min <= len(args) <= row.count_max
                    ):
                        reply = engine.run_locked(session, args)
                        now = clock()
                    else:
                        engine.now = session.last_active = now
                        session.last_command = display = row.display
                        try:
                            if len(args) == 3:  # without a star it is faster
                                reply = row.handler(session, args[1], args[2])
                            else:
                                reply = row.handler(session, *args[1:])
                        except BaseException as error:
                            engine.ended(session, row, args, now, None, error)
                            now = clock()
                            raise
                        started, now = now, clock()
                        stat = stats.get(display)
                        if stat is None or now - started >= engine.notable_seconds:
                            engine.ended(session, row, args, started, reply)
                        else:
                            times = stat.times
                            times.append(now - started)
                            if len(times) > TIMES_MAX:
                                stat.settle()
                        if row.shaped and session.protocol == 2:
                            reply = to_resp2(reply)
                except SessionEndedError:
                    raise
                except CommandError as error:
                    reply = error
                if waiters.ready_keys:
                    waiters.serve()
                add(reply)
                if reply is BLOCKED or session.closing:
                    break
        finally:
            engine.epoch += 1
    return replies


def execute_transaction(session: Session, commands: Sequence[list[bytes]]) -> list[Reply] | None:
    """What EXEC replies to `commands`, errors among them; None where it has to be sent.

    That is where one of them would be refused, or is more than a command on keys, and in every
    state of the engine or the session in which somebody could tell (see `Engine.execute`).
    """
    engine = session.engine
    rows: list[Command] = []
    for args in commands:
        row = COMMANDS.get(args[0])
        if row is None or not row.only_keys or not row.count_min <= len(args) <= row.count_max:
            return None
        rows.append(row)
    with engine.lock:
        begun = engine.clock.time()
        if (
            begun >= engine.rest_until
            or session.special
            or session.watched
            or session.touched
            or engine.propagation is not None
        ):
            return None
        engine.epoch += 1
        try:
            engine.now = session.last_active = begun
            replies = _run_queued(session, rows, commands, begun)
            session.last_command = "exec"
            _count(session, COMMANDS[b"MULTI"], 0.0, begun, OK)
            _count(session, COMMANDS[b"EXEC"], engine.clock.time() - begun, begun, replies)
            if engine.waiters.ready_keys:
                engine.waiters.serve()
        finally:
            engine.epoch += 1
    return replies


def _run_queued(
    session: Session, rows: Sequence[Command], commands: Sequence[list[bytes]], now: float
) -> list[Reply]:
    """The replies of commands in a transaction, whose time stands still."""
    engine = session.engine
    clock, known, notable = engine.clock.time, engine.stats.commands.get, engine.notable_seconds
    replies: list[Reply] = []
    add = replies.append
    for row, args in zip(rows, commands, strict=True):
        try:
            reply = row.handler(session, *args[1:])
        except CommandError as error:
            engine.ended(session, row, args, now, None, error)
            reply, now = error, clock()
        except BaseException as error:
            engine.ended(session, row, args, now, None, error)
            raise
        else:
            started, now = now, clock()
            stat = known(row.display)
            if stat is None or now - started >= notable:
                engine.ended(session, row, args, started, reply)
            else:
                stat.times.append(now - started)
                if len(stat.times) > TIMES_MAX:
                    stat.settle()
            if row.shaped and session.protocol == 2:
                reply = to_resp2(reply)
        add(reply)
    return replies


def _count(session: Session, row: Command, elapsed: float, begun: float, reply: Reply) -> None:
    """Count MULTI or EXEC itself."""
    engine = session.engine
    if elapsed >= engine.notable_seconds:
        engine.ended(session, row, [row.name.encode()], begun, reply)
        return
    stat = engine.stats.command(row.display)
    stat.times.append(elapsed)
    if len(stat.times) > TIMES_MAX:
        stat.settle()
