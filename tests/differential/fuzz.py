"""Draws sequences of a group until enough commands are compared, or until the sides part.

Hypothesis draws and, at a difference, shrinks: the sequence that is reported is one from which no
step can be left out. A run is a number of rounds with seeds of their own, so that it can be said
again: `--seed N`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from tests.differential.grammar import Group
from tests.differential.harness import Comparison, Parted, Sequence

ROUND_EXAMPLES = 100
SETTINGS = settings(
    max_examples=ROUND_EXAMPLES,
    deadline=None,
    database=None,
    derandomize=False,
    print_blob=False,
    report_multiple_bugs=False,
    verbosity=Verbosity.quiet,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Outcome:
    """What a group's run came to: commands compared by name, and the difference, if any."""

    compared: Counter[str]
    failure: str | None = None

    @property
    def total(self) -> int:
        """Commands compared."""
        return sum(self.compared.values())


def fuzz(group: Group, comparison: Comparison, commands: int, first_seed: int) -> Outcome:
    """Compare about `commands` commands of `group`; stops at the first difference."""
    comparison.compared.clear()
    number = first_seed
    failure = None
    while failure is None and sum(comparison.compared.values()) < commands:
        failure = _round(group, comparison, number, commands)
        number += 1
    return Outcome(Counter(comparison.compared), failure)


def _round(group: Group, comparison: Comparison, number: int, commands: int) -> str | None:
    """One round; the transcript of a minimal difference, or None."""
    parted: list[tuple[Sequence, Parted]] = []

    @seed(number)
    @SETTINGS
    @given(group.sequences)
    def compare(sequence: Sequence) -> None:
        if not parted and sum(comparison.compared.values()) >= commands:
            return
        try:
            comparison.run(sequence, pushes=group.pushes)
        except Parted as difference:
            parted.append((sequence, difference))
            raise

    try:
        compare()
    except (Parted, Flaky, ConnectionError):
        if comparison.lost:
            raise ConnectionError(comparison.lost) from None
        sequence, difference = parted[-1]
        shortest = _shortened(comparison, sequence, difference, pushes=group.pushes)
        return f"{group.name}, seed {number}: {shortest}"
    return None


def _shortened(
    comparison: Comparison, sequence: Sequence, difference: Parted, *, pushes: bool
) -> Parted:
    """Leave out every step without which the sides still part, where Hypothesis gave up."""
    at = len(sequence.steps) - 1
    while at >= 0:
        shorter = replace(sequence, steps=sequence.steps[:at] + sequence.steps[at + 1 :])
        try:
            comparison.run(shorter, pushes=pushes)
        except Parted as again:
            sequence, difference = shorter, again
        at -= 1
    return difference
