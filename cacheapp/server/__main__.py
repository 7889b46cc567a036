"""`python -m cacheapp.server [flags] [option=value …]`: the engine behind a port, no Django."""

from __future__ import annotations

import argparse
import sys

from cacheapp.engine.errors import ConfigError
from cacheapp.server.options import add_arguments, serve


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal; 1 where that could not start, with the reason on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m cacheapp.server",
        description="The cacheapp engine behind a TCP port or a unix socket, for Redis clients.",
    )
    add_arguments(parser)
    try:
        serve(parser.parse_args(arguments), lambda line: print(line, flush=True))
    except (ConfigError, OSError) as error:
        print(f"cacheapp.server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
