"""`python -m tests.invalidation.torture [--seconds N] [--processes N] [--seed N] [--bound S]`.

Starts a redis-server and the processes, injects every fault in turn until the time is over, and
after each round lets everything calm down and compares all copies with the server. Ends with 1
where a read was older than the bound, a copy stayed stale, or a process did not come back.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.invalidation.torture.faults import FAULTS, Scene, Server
from tests.invalidation.torture.oracle import Oracle
from tests.invalidation.torture.proxy import Proxies, Proxy
from tests.invalidation.torture.worker import KEYS_EACH, Orders

ANSWER_S = 30.0


class Child:
    """A worker process and its proxy."""

    def __init__(self, orders: Orders, proxy: Proxy) -> None:
        self.number = orders.number
        self.proxy = proxy
        self.problems: list[str] = []
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        written = json.dumps(asdict(orders))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.invalidation.torture.worker", written],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.pid: int = self.answer()["pid"]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "stale" in said:
                self.problems.append(line.strip())
            else:
                self._answers.put(said)

    def tell(self, command: str) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next answer. Raises queue.Empty where none comes."""
        return self._answers.get(timeout=ANSWER_S)

    def close(self) -> None:
        """Let it end."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Torture:
    """One run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.chance = random.Random(options.seed)
        self.oracle = Oracle(folder / "oracle", options.processes * KEYS_EACH)
        self.server = Server()
        self.server.start()
        self.proxies = Proxies()
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []
        self.workers = [self.child(number, folder) for number in range(options.processes)]
        self.scene = Scene(self.server, self.workers, self.oracle, options.bound, options.seed)

    def child(self, number: int, folder: Path) -> Child:
        """Start a worker behind a proxy of its own."""
        proxy = self.proxies.add(self.server.port)
        orders = Orders(
            number=number,
            processes=self.options.processes,
            port=proxy.port,
            server_port=self.server.port,
            oracle=str(folder / "oracle"),
            seed=self.options.seed,
            bound_s=self.options.bound,
            forks=bool(number % 2),
            degrades=number == 0,
            plant=self.options.plant,
        )
        return Child(orders, proxy)

    def run(self) -> int:
        """Inject faults until the time is over; the number of problems."""
        until = time.monotonic() + self.options.seconds
        rounds = 0
        while time.monotonic() < until or not rounds:
            names = self.options.faults or list(FAULTS)
            self.chance.shuffle(names)
            for name in names:
                if rounds and time.monotonic() >= until:
                    break
                FAULTS[name](self.scene)
                self.done[name] += 1
                self.scene.pass_time(0.0, 1.0)
            rounds += 1
            self.calm_down()
            self.report_round(rounds)
        return self.report()

    def calm_down(self) -> None:
        """Pause the writers, let the listeners catch up, and compare every copy."""
        for worker in self.workers:
            worker.proxy.swallows = ""
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
            worker.tell("pause writes")
        try:
            for worker in self.workers:
                worker.answer()
            threading.Event().wait(3 * self.options.bound + 0.5)
            for worker in self.workers:
                worker.tell("compare")
            for worker in self.workers:
                found = worker.answer()
                self.problems += [
                    f"process {worker.number}: stale for ever: {wrong}" for wrong in found["wrong"]
                ]
                if not found["compared"]:
                    self.problems.append(f"process {worker.number} keeps no copies any more")
        except queue.Empty:
            self.problems.append("a process does not answer")
        for worker in self.workers:
            self.problems += worker.problems
            worker.problems.clear()
            worker.tell("go on")

    def report_round(self, rounds: int) -> None:
        """A line a round."""
        found = f"{len(self.problems)} problems" if self.problems else "clean"
        print(f"round {rounds}: {sum(self.done.values())} faults, {found}", file=sys.stderr)

    def report(self) -> int:
        """Print what was done and found."""
        totals: Counter[str] = Counter()
        for worker in self.workers:
            worker.tell("counts")
            totals.update(worker.answer()["counts"])
        print(f"{self.options.processes} processes, bound {self.options.bound} s; faults injected:")
        for name in FAULTS:
            print(f"{self.done[name]:6} {name}")
        mixed = sum((worker.proxy.mixed for worker in self.workers), Counter[str]())
        ways = ", ".join(f"{count} {way}" for way, count in sorted(mixed.items()))
        print(f"replies with messages mixed in flight: {ways or 'none'}")
        print(
            f"{totals['reads']:,} reads, {totals['hits']:,} of them near, {totals['outlived']:,} "
            f"past the lease in an outage, {totals['writes']:,} writes, {totals['errors']:,} "
            "errors of the server"
        )
        for problem in self.problems[:20]:
            print(problem)
        print(f"stale after the bound, or lost for ever: {len(self.problems)}")
        if not totals["hits"]:
            print("nothing was read from near caches: this run proves nothing")
        return len(self.problems) + (not totals["hits"])

    def close(self) -> None:
        """End everything that was started."""
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
            worker.close()
        self.scene.admin.close()
        self.server.close()
        self.proxies.close()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.invalidation.torture")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=5, choices=range(2, 9))
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--bound", type=float, default=0.6)
    parser.add_argument("--plant", default="", choices=("", "deaf", "lease", "gaps", "order"))
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), help="these and no others")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="cacheapp-torture-") as folder:
        torture = Torture(options, Path(folder))
        try:
            return 1 if torture.run() else 0
        finally:
            torture.close()


if __name__ == "__main__":
    sys.exit(main())
