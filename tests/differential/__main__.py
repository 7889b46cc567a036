"""The long run: `python -m tests.differential --commands 100000 [--group G] [--seed N]`."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.differential.fuzz import fuzz
from tests.differential.groups import GROUPS
from tests.differential.harness import Comparison
from tests.differential.sides import RedisSide
from tests.redis_server import MISSING, RedisServer, binary


def main() -> int:
    """Run the groups, print a line for each; 1 if the sides parted anywhere."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--commands", type=int, default=100_000, help="how many in all")
    parser.add_argument("--group", action="append", choices=GROUPS, help="again for several")
    parser.add_argument("--seed", type=int, help="of the first round; random by default")
    options = parser.parse_args()
    if binary() is None:
        print(MISSING)
        return 1
    first_seed = random.randrange(10**6) if options.seed is None else options.seed
    names = options.group or list(GROUPS)
    print(f"seed {first_seed}")
    total, failures = 0, 0
    with RedisServer() as server:
        comparison = Comparison(RedisSide(server.port))
        for name in names:
            started = time.monotonic()
            outcome = fuzz(GROUPS[name], comparison, options.commands // len(names), first_seed)
            seconds = time.monotonic() - started
            total += outcome.total
            print(f"{name:13} {outcome.total:8,} commands compared in {seconds:5.1f} s", flush=True)
            if outcome.failure:
                failures += 1
                print(outcome.failure, flush=True)
        comparison.redis.close()
    print(f"{'all':13} {total:8,} commands compared, {failures} groups parted")
    return int(failures > 0)


sys.exit(main())
