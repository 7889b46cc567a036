"""LATENCY: what took longer than `latency-monitor-threshold`, and how long each command takes."""

from __future__ import annotations

from cacheapp.engine.errors import CommandError, text
from cacheapp.engine.latency import Event, sparkline
from cacheapp.engine.registry import command, container, find
from cacheapp.engine.replies import Reply, Verbatim, help_reply
from cacheapp.engine.session import Session

container("LATENCY", group="server", since="2.8.13", summary="A container for latency commands.")

_HELP = """
DOCTOR
    Return a human readable latency analysis report.
GRAPH <event>
    Return an ASCII latency graph for the <event> class.
HISTORY <event>
    Return time-latency samples for the <event> class.
LATEST
    Return the latest latency samples for all events.
RESET [<event> ...]
    Reset latency data of one or more <event> classes.
    (default: reset all data for all event classes)
HISTOGRAM [COMMAND ...]
    Return a cumulative distribution of latencies in the format of a histogram for the specified \
command names.
    If no commands are specified then all histograms are replied.
"""
_FLAGS = "admin noscript loading stale"
_TIPS = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")
_COLUMNS = 80


@command(
    "LATENCY|LATEST", arity=2, flags=_FLAGS, group="server", since="2.8.13",
    summary="Returns the latest latency samples for all events.", tips=_TIPS,
)  # fmt: skip
def latency_latest(ctx: Session) -> Reply:
    return [
        [name, *event.samples[-1], event.max_ms]
        for name, event in ctx.engine.latency.events.items()
    ]


@command(
    "LATENCY|HISTORY", arity=3, flags=_FLAGS, group="server", since="2.8.13",
    summary="Returns timestamp-latency samples for an event.", tips=_TIPS,
)  # fmt: skip
def latency_history(ctx: Session, name: bytes) -> Reply:
    event = ctx.engine.latency.events.get(name)
    return [] if event is None else [list(sample) for sample in event.samples]


@command(
    "LATENCY|HISTOGRAM", arity=-2, flags=_FLAGS, group="server", since="7.0.0",
    complexity="O(N) in the commands with latency information",
    summary="Returns the cumulative distribution of latencies of a subset or all commands.",
    tips=_TIPS, shaped=True,
)  # fmt: skip
def latency_histogram(ctx: Session, *names: bytes) -> Reply:
    stats = ctx.engine.stats
    stats.settle()
    wanted = list(stats.commands)
    if names:
        rows = [row for row in map(find, names) if row is not None]
        wanted = [each.display for row in rows for each in (row, *row.children.values())]
    found: dict[bytes, Reply] = {}
    for name in wanted:
        stat = stats.commands.get(name)
        if stat is not None and stat.histogram is not None:
            found[name.encode()] = {
                b"calls": stat.histogram.total,
                b"histogram_usec": dict(stat.histogram.distribution()),
            }
    return found


@command(
    "LATENCY|RESET", arity=-2, flags=_FLAGS, group="server", since="2.8.13",
    summary="Resets the latency data for one or more events.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def latency_reset(ctx: Session, *names: bytes) -> Reply:
    events = ctx.engine.latency.events
    return sum(events.pop(name, None) is not None for name in names or list(events))


@command(
    "LATENCY|GRAPH", arity=3, flags=_FLAGS, group="server", since="2.8.13",
    summary="Returns a latency graph for an event.", tips=_TIPS, shaped=True,
)  # fmt: skip
def latency_graph(ctx: Session, name: bytes) -> Reply:
    event = ctx.engine.latency.events.get(name)
    if event is None:
        raise CommandError(f"ERR No samples available for event '{text(name)}'")
    samples = list(event.samples)[-_COLUMNS:]
    values = [latency_ms for _, latency_ms in samples]
    labels = [_age(max(0, int(ctx.engine.now) - second)) for second, _ in samples]
    head = (
        f"{text(name)} - high {max(values)} ms, low {min(values)} ms "
        f"(all time high {event.max_ms} ms)\n{'-' * _COLUMNS}\n"
    )
    return Verbatim((head + sparkline(values, labels)).encode("utf-8", "surrogateescape"))


def _age(seconds: int) -> str:
    for unit_seconds, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit_seconds:
            return f"{seconds // unit_seconds}{letter}"
    return f"{seconds}s"


@command(
    "LATENCY|DOCTOR", arity=2, flags=_FLAGS, group="server", since="2.8.13",
    summary="Returns a human-readable latency analysis report.", tips=_TIPS, shaped=True,
)  # fmt: skip
def latency_doctor(ctx: Session) -> Reply:
    threshold_ms = ctx.engine.config["latency-monitor-threshold"]
    events = ctx.engine.latency.events
    if events:
        lines = [f"Latency spikes of {len(events)} kinds were seen:"]
        lines += [_report(name, event) for name, event in events.items()]
        lines.append("See SLOWLOG GET for the slowest commands.")
        report = "\n".join(lines) + "\n"
    elif threshold_ms:
        report = f"No latency spike of {threshold_ms} ms or more was seen so far.\n"
    else:
        report = (
            'Latency is not monitored. "CONFIG SET latency-monitor-threshold <milliseconds>" '
            "turns it on.\n"
        )
    return Verbatim(report.encode("utf-8", "surrogateescape"))


def _report(name: bytes, event: Event) -> str:
    values = [latency_ms for _, latency_ms in event.samples]
    mean_ms = sum(values) / len(values)
    return (
        f"- {text(name)}: {len(values)} spikes, average {mean_ms:.0f} ms, "
        f"worst of all {event.max_ms} ms"
    )


@command(
    "LATENCY|HELP", arity=2, flags="loading stale", group="server", since="2.8.13",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def latency_help(_ctx: Session) -> Reply:
    return help_reply("LATENCY", _HELP)
