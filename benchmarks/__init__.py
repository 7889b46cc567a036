"""Timings beside the peers, in one run, as ratios. `python -m benchmarks --help` says how.

Not imported by the package or the tests: no test asserts on a stopwatch.
"""
