"""Runs a state machine for a number of examples with a seed, so that a failure can be had again."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run(
    machine: type[RuleBasedStateMachine],
    examples: int,
    steps: int,
    number: int,
    *,
    shrink: bool = True,
) -> None:
    """Drive `machine` through `examples` runs of at most `steps` steps; raises what it found.

    `shrink`: what is found is made short first, which may take a minute.
    """
    seed(number)(machine)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=False,
            print_blob=False,
            phases=[Phase.generate, *[Phase.shrink] * shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
