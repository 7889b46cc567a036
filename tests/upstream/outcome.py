"""What one run gave, and the table of all of them.

Left out on purpose: durations of single tests; most of them are Django's own sleeps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from tests.upstream.candidates import CANDIDATES

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
# An async client keeps a pool for the loop that runs now; one for each loop that ever ran is a
# leak. These runs make several hundred loops.
CONNECTIONS_MAX = 50
NAMES_MAX = 12
ROW = "{:<13} {:<8} {:<12} {:>13} {:>7} {:>8} {:>5} {:>8}"


@dataclass(frozen=True)
class Outcome:
    """One run: the status of each test by name, and the text of what failed or was skipped.

    `not_applicable` are the tests left out, with the reason; `unraisable` are errors that Python
    could only print (resources left open, coroutines never awaited), `connections` what was still
    connected to a real server at the end, and `crash` is the end of the process's output where it
    died before it could say anything else.
    """

    label: str
    server: str
    mode: str
    statuses: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)
    unraisable: list[str] = field(default_factory=list)
    connections: int | None = None
    seconds: float = 0.0
    crash: str = ""

    def text(self) -> str:
        """This outcome as JSON, for `parse`."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """The outcome that `text()` wrote."""
        return cls(**json.loads(text))

    def names(self, status: str) -> list[str]:
        """The tests with this status, in the order in which they ran."""
        return [name for name, found in self.statuses.items() if found == status]

    @property
    def leaks(self) -> bool:
        """Whether connections or other resources outlived their loops."""
        return bool(self.unraisable) or (self.connections or 0) > CONNECTIONS_MAX

    @property
    def good(self) -> bool:
        """Whether everything that ran passed, and something did."""
        failed = self.crash or self.names(FAILED) or self.leaks
        return not failed and bool(self.names(PASSED))

    @property
    def title(self) -> str:
        """The run's name in the report."""
        return f"{self.label} on {self.server}, {self.mode}"


def table(outcomes: Iterable[Outcome]) -> str:
    """The counts of every run, a line each."""
    heads = ("backend", "server", "mode", "passed/run", "failed", "skipped", "open", "seconds")
    lines = [ROW.format(*heads)]
    for outcome in outcomes:
        passed, run = len(outcome.names(PASSED)), len(outcome.statuses)
        lines.append(
            ROW.format(
                outcome.label,
                outcome.server,
                outcome.mode,
                "crashed" if outcome.crash else f"{passed}/{run}",
                len(outcome.names(FAILED)),
                len(outcome.names(SKIPPED)),
                "-" if outcome.connections is None else outcome.connections,
                f"{outcome.seconds:.1f}",
            )
        )
    return "\n".join(lines)


def failures(outcome: Outcome, *, verbose: bool) -> str:
    """What failed in one run: the tests by the first line of their error, or all tracebacks."""
    lines = [f"{outcome.title}:"]
    if outcome.crash:
        told = outcome.crash.rstrip().splitlines()
        lines += ["  crashed", *(f"      {line}" for line in (told if verbose else told[-1:]))]
    elif not outcome.names(PASSED):
        lines.append("  no test passed")
    lines += _tracebacks(outcome) if verbose else _by_cause(outcome)
    if (outcome.connections or 0) > CONNECTIONS_MAX:
        lines.append(f"  {outcome.connections} connections were left open")
    lines += [f"  left open: {text}" for text in outcome.unraisable]
    return "\n".join(lines)


def _tracebacks(outcome: Outcome) -> list[str]:
    lines = []
    for name in outcome.names(FAILED):
        _, _, trace = outcome.details[name].partition("\n")
        lines.append(f"  {name}\n{trace.rstrip()}")
    return lines


def _by_cause(outcome: Outcome) -> list[str]:
    # One broken import can fail hundreds of tests; one line then says it.
    causes: dict[str, list[str]] = {}
    for name in outcome.names(FAILED):
        causes.setdefault(outcome.details[name].partition("\n")[0], []).append(name)
    lines = []
    for cause, names in causes.items():
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        lines.append(f"  {', '.join(names[:NAMES_MAX])}{more}\n      {cause}")
    return lines


def not_run(outcome: Outcome) -> str:
    """The tests that do not apply to a backend, by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in outcome.not_applicable.items():
        by_reason.setdefault(reason, []).append(name)
    lines = [f"does not apply to {outcome.label}:"]
    lines += [f"  {reason}: {', '.join(names)}" for reason, names in by_reason.items()]
    return "\n".join(lines)


def bad(outcomes: Iterable[Outcome]) -> list[str]:
    """What fails the whole, a line each: our backend's failures, and our engine's under a peer.

    A peer on the engine fails us by what it did not also fail on a real server, in the same mode.
    """
    runs = list(outcomes)
    lines = [f"{run.title}: failed" for run in runs if CANDIDATES[run.label].ours and not run.good]
    real = {(run.label, run.mode): run for run in runs if run.server == "redis"}
    for run in runs:
        twin = real.get((run.label, run.mode))
        if run.server != "engine" or CANDIDATES[run.label].ours or twin is None:
            continue
        worse = sorted(set(run.names(FAILED)) - set(twin.names(FAILED)))
        if run.crash or worse:
            lines.append(f"{run.title}: not as on redis: {', '.join(worse) or 'crashed'}")
    return lines
