"""`python -m tests.server.mutate [--inputs N] [--seed S]`: the request parser against mutations.

Each input is a pipeline of well-formed requests with some bytes changed, cut, doubled or swapped
for what parsers stumble over. The parser must find the same commands and the same error as the
model below, whole or in pieces, raise nothing else, and hold no more than it was given. The model
is a second reading of Redis's rules, on whole inputs, slow and plain.
"""

from __future__ import annotations

import argparse
import random
import re
import sys

from cacheapp.server.protocol import ProtocolError, RequestParser

BULK_BYTES_MAX = 100_000
WORDS = [b"GET", b"SET", b"k", b"", b"x" * 20, b"a\r\nb", b"\x00\xff", b"*1", b"$3", b"12", b'"']
TOKENS = [
    b"\r\n", b"\r", b"\n", b"\0", b"*", b"$", b"*0\r\n", b"*-1\r\n", b"$-1\r\n", b"*1\r\n",
    b"$0\r\n", b"*2147483648\r\n", b"$99999\r\n", b"$100001\r\n", b"*11\r\n", b"$16385\r\n", b"00",
    b"-", b"+1",
    b" ", b'"', b"'", b"\\", b"\\x41", b"\t", b"\x0b", b":1\r\n", b"PING\r\n", b"\xc3",
]  # fmt: skip

Outcome = tuple[list[list[bytes]], str | None]


def packed(args: list[bytes]) -> bytes:
    """A request as every client library sends it."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def make(rng: random.Random) -> bytes:
    """One input."""
    data = bytearray()
    for _ in range(rng.randint(1, 5)):
        args = [rng.choice(WORDS) for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.01:
            args += [rng.randbytes(1) * size for size in (3000, 5000, 20_000)]
        data += packed(args) if rng.random() < 0.8 else b" ".join(args) + b"\r\n"
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            del data[at : at + rng.choice([1, 1, 2, 5])]
        elif kind == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            data[at:at] = data[at : at + rng.randint(1, 12)]
    return bytes(data)


def found(data: bytes, sizes: list[int], authenticated: bool) -> Outcome:
    """What the parser makes of `data` in pieces of `sizes`, repeated."""
    parser = RequestParser(BULK_BYTES_MAX)
    commands: list[list[bytes]] = []
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        parser.feed(data[at : at + size])
        at, number = at + size, number + 1
        try:
            while batch := parser.take(authenticated):
                commands += batch
        except ProtocolError as error:
            return commands, str(error)
        assert parser.pending_bytes <= min(at, len(data)), "it holds more than it was given"
    return commands, None


class Model:
    """The commands and the error in a whole input."""

    def __init__(self, data: bytes, authenticated: bool) -> None:
        self.data = data
        self.authenticated = authenticated
        self.at = 0

    def outcome(self) -> Outcome:
        """Read to the end, to an error, or to where something is missing."""
        commands: list[list[bytes]] = []
        while self.at < len(self.data):
            try:
                array = self.data[self.at : self.at + 1] == b"*"
                args = self.array() if array else self.inline()
            except EOFError:
                break
            except ValueError as error:
                return commands, f"Protocol error: {error}"
            if args:
                commands.append(args)
        return commands, None

    def line(self, mark: bytes) -> bytes:
        """The bytes up to `mark`, which are in vain if a NUL comes first."""
        end = self.data.find(mark, self.at)
        line = self.data[self.at : end]
        if end == -1 or b"\0" in line:
            raise EOFError
        return line

    def number(self, line: bytes, error: str, low: int, high: int) -> int:
        """The canonical decimal in a header line."""
        if not re.fullmatch(rb"0|-?[1-9][0-9]*", line[1:]) or not low <= int(line[1:]) <= high:
            raise ValueError(error)
        return int(line[1:])

    def header(self) -> bytes:
        """A line that ends in CR and any one byte."""
        line = self.line(b"\r")
        if self.at + len(line) + 2 > len(self.data):
            raise EOFError
        return line

    def array(self) -> list[bytes]:
        """An array of bulk strings."""
        line = self.header()
        count = self.number(line, "invalid multibulk length", -(2**63), 2**31 - 1)
        if count > 10 and not self.authenticated:
            raise ValueError("unauthenticated multibulk length")
        self.at += len(line) + 2
        args = []
        for _ in range(count):
            line = self.header()
            if not line.startswith(b"$"):
                got = self.data[self.at : self.at + 1].decode("utf-8", "surrogateescape")
                raise ValueError(f"expected '$', got '{got}'")
            size = self.number(line, "invalid bulk length", 0, BULK_BYTES_MAX)
            if size > 16384 and not self.authenticated:
                raise ValueError("unauthenticated bulk length")
            self.at += len(line) + 2
            if self.at + size + 2 > len(self.data):
                raise EOFError
            args.append(self.data[self.at : self.at + size])
            self.at += size + 2
        return args

    def inline(self) -> list[bytes]:
        """A line of words, by the automaton of Redis's sdssplitargs."""
        line = self.line(b"\n")
        self.at += len(line) + 1
        text = line.removesuffix(b"\r").decode("latin-1")
        words, at = [], 0
        while True:
            while text[at : at + 1] and text[at] in " \t\n\v\f\r":
                at += 1
            if at == len(text):
                return words
            word, at = self.word(text, at)
            words.append(word.encode("latin-1"))

    @staticmethod
    def word(text: str, at: int) -> tuple[str, int]:
        """The word at `at`, and where it ends."""
        word, quote = "", ""
        while True:
            char, after = text[at : at + 1], text[at + 1 : at + 2]
            if not quote and char in ("", " ", "\n", "\r", "\t"):
                return word, at
            if not char:
                raise ValueError("unbalanced quotes in request")
            if not quote and char in "\"'":
                quote = char
            elif quote and char == quote:
                if after and after not in " \t\n\v\f\r":
                    raise ValueError("unbalanced quotes in request")
                return word, at + 1
            elif quote == '"' and (code := re.match(r"\\x([0-9a-fA-F]{2})", text[at:])):
                word += chr(int(code[1], 16))
                at += 3
            elif quote == '"' and char == "\\" and after:
                word += {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}.get(after, after)
                at += 1
            elif quote == "'" and char == "\\" and after == "'":
                word += after
                at += 1
            else:
                word += char
            at += 1


def complaint(data: bytes, rng: random.Random) -> str:
    """What is wrong with the parser's reading of `data`; nothing, where it is right."""
    authenticated = rng.random() < 0.7
    expected = Model(data, authenticated).outcome()
    most = max(30, len(data) // 20)
    smallest = 1 if len(data) < 2000 else 501
    for sizes in ([len(data)], [smallest], [rng.randint(1, most) for _ in range(3)]):
        outcome = found(data, sizes, authenticated)
        if outcome != expected:
            where = f"{data[:300]!r} ({len(data)} bytes) in pieces of {sizes}"
            return f"{where}: {str(outcome)[-300:]}, not {str(expected)[-300:]}"
    return ""


def main() -> int:
    """Run; 1 at the first complaint."""
    parser = argparse.ArgumentParser(prog="python -m tests.server.mutate", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    for number in range(options.inputs):
        wrong = complaint(make(rng), rng)
        if wrong:
            print(f"input {number} of seed {options.seed}: {wrong}")
            return 1
    print(f"{options.inputs} inputs of seed {options.seed}: as the model says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
