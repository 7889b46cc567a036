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
from cacheapp.engine.registry import COMMANDS
from cacheapp.engine.replies import BLOCKED, Reply, to_resp2
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
                        session.last_command = row.display
                        try:
                            reply = row.handler(session, *args[1:])
                        except BaseException as error:
                            engine.ended(session, row, args, now, None, error)
                            raise
                        finally:
                            started, now = now, clock()
                        stat = stats.get(row.display)
                        if stat is None or now - started >= engine.notable_seconds:
                            engine.ended(session, row, args, started, reply)
                        else:
                            stat.times.append(now - started)
                            if len(stat.times) > TIMES_MAX:
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
