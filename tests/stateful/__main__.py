"""The long run: `python -m tests.stateful [--examples N] [--steps N] [--seed N]`."""

from __future__ import annotations

import argparse
import random
import sys

from tests.differential.sides import RedisSide
from tests.redis_server import MISSING, RedisServer, binary
from tests.stateful.running import run
from tests.stateful.streams import StreamMachine


def main() -> int:
    """Run; an exception with a short sequence where the two part."""
    parser = argparse.ArgumentParser(prog="python -m tests.stateful", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="sequences")
    parser.add_argument("--steps", type=int, default=60, help="of each sequence, at most")
    parser.add_argument("--seed", type=int, help="random by default")
    options = parser.parse_args()
    if binary() is None:
        print(MISSING)
        return 1
    number = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {number}", flush=True)
    with RedisServer() as server:
        StreamMachine.redis = RedisSide(server.port)
        run(StreamMachine, options.examples, options.steps, number)
        StreamMachine.redis.close()
    print(f"{options.examples} sequences: the engine, redis-server and the model agree")
    return 0


sys.exit(main())
