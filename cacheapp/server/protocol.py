"""RESP requests: bytes in, lists of arguments out.

A request is an array of bulk strings (`*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n`) or, for people
with telnet, a line of words. What is malformed gets Redis's own error texts; then the connection
ends.

Two parsers share the work. `split_commands` knows only the shape that nearly every request has
(short arguments, all there) and takes a whole pipeline apart with `bytes.split`. What it does
not recognize, half commands included, goes to the incremental parser, which follows Redis's
reading order byte by byte, since which error comes first is visible to clients.

Buffers grow by what was received, never by a length that a peer announced. Sizes that a peer has
not earned by a password are small. Left out on purpose: sockets, time, and what commands mean.
"""

from __future__ import annotations

import re

__all__ = ["ProtocolError", "RequestParser", "split_commands", "split_inline"]

Args = list[bytes]

# Redis's limits: an inline request or a header line; a command's arguments and the bytes of
# each before authentication.
LINE_BYTES_MAX = 64 * 1024
MULTIBULK_MAX = 2**31 - 1
UNAUTHENTICATED_ARGUMENTS_MAX = 10
UNAUTHENTICATED_BULK_BYTES_MAX = 16_384
# Up to here an unfinished request is kept whole and looked at again with what follows.
_REPARSE_BYTES_MAX = 4096
# From here on the arguments that were read are cut off the buffer of an unfinished request.
_TRIM_BYTES = 64 * 1024

# Within the unauthenticated limits, so that `split_commands` may be used at any time.
_HEADERS = [b"$%d" % size for size in range(UNAUTHENTICATED_BULK_BYTES_MAX + 1)]
_LINES_OF = {b"*%d" % count: 2 * count for count in range(1, UNAUTHENTICATED_ARGUMENTS_MAX)}
# Of those who have logged in. An array beyond it is long enough not to mind the other parser.
_LINES_OF_MANY = {b"*%d" % count: 2 * count for count in range(1, 1025)}

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z")
# One piece of an inline request: blanks, then the parts of one argument up to the next blank.
_SPACES = b" \t\n\v\f\r"
_BREAKS = b" \t\n\r"
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_PLAIN = re.compile(rb"[^ \t\n\r\"']+")
_IN_DOUBLE = re.compile(rb"[^\"\\]+")
_IN_SINGLE = re.compile(rb"[^'\\]+")
_HEX = re.compile(rb"\\x([0-9a-fA-F]{2})")


class ProtocolError(Exception):
    """A malformed request. `str(error)` is the text after `ERR `; the connection must end."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Protocol error: {text}")


def split_commands(data: bytes, *, authenticated: bool = False) -> tuple[list[Args], bytes]:
    """The commands at the start of `data` that have the usual shape, and all that follows them.

    Usual: at most 9 arguments, or 1024 of who is `authenticated`, of at most 16 KB without CRLF
    inside, lengths in canonical decimal. Never raises; whatever is different starts the rest, for
    `RequestParser` to judge.
    """
    lines_of = _LINES_OF_MANY if authenticated else _LINES_OF
    lines = data.split(b"\r\n")
    last = len(lines) - 1
    commands: list[Args] = []
    append, headers, header_of = commands.append, _HEADERS, _HEADERS.__getitem__
    at = 0
    # Equal headers prove that no argument was cut at a CRLF of its own. Two and three arguments
    # are written out, which halves the time of a command; most have so many.
    try:
        while at < last:
            head = lines[at]
            if head == b"*3":
                a, b, c = lines[at + 2], lines[at + 4], lines[at + 6]
                if (
                    lines[at + 1] != headers[len(a)]
                    or lines[at + 3] != headers[len(b)]
                    or lines[at + 5] != headers[len(c)]
                ):
                    break
                end = at + 7
                args = [a, b, c]
            elif head == b"*2":
                a, b = lines[at + 2], lines[at + 4]
                if lines[at + 1] != headers[len(a)] or lines[at + 3] != headers[len(b)]:
                    break
                end = at + 5
                args = [a, b]
            else:
                end = at + 1 + lines_of[head]
                args = lines[at + 2 : end : 2]
                if lines[at + 1 : end : 2] != [*map(header_of, map(len, args))]:
                    break
            if end > last:
                break
            append(args)
            at = end
    except (KeyError, IndexError):
        # A line that starts no short array, an argument longer than the table, or too few lines.
        pass
    if at == 0:
        return commands, data
    return commands, lines[last] if at == last else b"\r\n".join(lines[at:])


def split_inline(line: bytes) -> Args | None:
    """The words of an inline request, with the quotes and escapes of redis-cli and redis.conf.

    None where quotes are unbalanced or a closing quote is not followed by a blank. As in Redis,
    the line ends at a NUL.
    """
    line = line.partition(b"\0")[0]
    words: Args = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at] in _SPACES:
            at += 1
        if at == end:
            return words
        word = bytearray()
        while at < end and line[at] not in _BREAKS:
            if line[at] in b"\"'":
                closed = _quoted(line, at, word)
                if closed is None:
                    return None
                at = closed
                break
            plain = _PLAIN.match(line, at)
            assert plain is not None
            word += plain[0]
            at = plain.end()
        words.append(bytes(word))


def _quoted(line: bytes, at: int, word: bytearray) -> int | None:
    """Append to `word` the quoted text that opens at `at`; the place after it, None if wrong."""
    quote = line[at : at + 1]
    double = quote == b'"'
    run = _IN_DOUBLE if double else _IN_SINGLE
    at += 1
    while at < len(line):
        if plain := run.match(line, at):
            word += plain[0]
            at = plain.end()
        elif line.startswith(quote, at):
            at += 1
            return at if at == len(line) or line[at] in _SPACES else None
        elif double and (code := _HEX.match(line, at)):
            word += bytes.fromhex(code[1].decode())
            at = code.end()
        elif double and at + 1 < len(line):
            following = line[at + 1 : at + 2]
            word += _ESCAPES.get(following, following)
            at += 2
        elif not double and line.startswith(b"\\'", at):
            word += b"'"
            at += 2
        else:
            word += b"\\"
            at += 1
    return None


class RequestParser:
    """The requests of one connection, in order, from pieces of any size.

    `feed` what was received; then `take` until it returns nothing. `bulk_bytes_max` is
    proto-max-bulk-len and may be set at any time. After a ProtocolError the parser is of no
    further use.
    """

    __slots__ = ("_args", "_at", "_buffer", "_bulk", "_fresh", "_missing", "_trimmed",
                 "bulk_bytes_max")  # fmt: skip

    def __init__(self, bulk_bytes_max: int = 512 * 1024 * 1024) -> None:
        self.bulk_bytes_max = bulk_bytes_max
        # Received, and not looked at yet.
        self._fresh = b""
        # The unfinished request, or what follows an unusual one.
        self._buffer = bytearray()
        self._at = 0
        self._args: Args = []
        # Arguments that the array still lacks (0: between requests) and the length of the next.
        self._missing = 0
        self._bulk = -1
        self._trimmed = 0

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._fresh = self._fresh + data if self._fresh else data

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait here: requests not taken yet, and the parts of an unfinished one."""
        return len(self._fresh) + len(self._buffer) + self._trimmed

    @property
    def waiting_bytes(self) -> int:
        """As `pending_bytes`, of a large argument without the header before it."""
        if self._bulk < _TRIM_BYTES // 2:
            return self.pending_bytes
        return len(self._fresh) + len(self._buffer) - self._at

    def take(self, authenticated: bool) -> list[Args]:
        """The next commands, in order: several where they are usual; none until more is fed.

        `authenticated` says which limits hold. Raises ProtocolError at what is malformed, after
        every command before it has been taken.
        """
        if self._fresh:
            fresh, self._fresh = self._fresh, b""
            buffer = self._buffer
            if self._trimmed or len(buffer) > _REPARSE_BYTES_MAX:
                buffer += fresh
            else:
                if buffer:
                    fresh = bytes(buffer) + fresh
                    buffer.clear()
                    self._at = self._missing = 0
                    self._bulk = -1
                    self._args = []
                commands, rest = split_commands(fresh, authenticated=authenticated)
                if rest:
                    buffer += rest
                if commands:
                    return commands
        if self._at < len(self._buffer):
            args = self._next(authenticated)
            if args:
                return [args]
        return []

    def _next(self, authenticated: bool) -> Args | None:
        """The next command in the buffer; None where it is not complete."""
        buffer = self._buffer
        # The buffer begins where the request does, or what is not trimmed of it.
        start = 0
        while self._at < len(buffer):
            if self._missing or buffer[self._at] == 0x2A:
                args = self._array(authenticated)
            else:
                args = self._inline()
            if args is None:
                break
            self._trimmed = 0
            start = self._at
            if args:
                self._cut(start)
                return args
        if self._at - start >= _TRIM_BYTES:
            self._trimmed += self._at - start
            start = self._at
        self._cut(start)
        return None

    def _cut(self, start: int) -> None:
        """Forget the buffer up to `start`."""
        del self._buffer[:start]
        self._at -= start

    def _line_end(self, mark: bytes, too_long: str) -> int:
        """Where the line that begins here has its `mark`; -1 until it is there.

        As in Redis a NUL hides what follows it. Raises ProtocolError(`too_long`) when it should
        have come by now.
        """
        end = self._buffer.find(mark, self._at)
        if end != -1 and self._buffer.find(b"\0", self._at, end) != -1:
            end = -1
        if end == -1 and len(self._buffer) - self._at > LINE_BYTES_MAX:
            raise ProtocolError(too_long)
        return end

    def _inline(self) -> Args | None:
        """The words of the line that begins here (none: an empty line); None if it has no end."""
        end = self._line_end(b"\n", "too big inline request")
        if end == -1:
            return None
        line = bytes(self._buffer[self._at : end])
        self._at = end + 1
        words = split_inline(line.removesuffix(b"\r"))
        if words is None:
            raise ProtocolError("unbalanced quotes in request")
        return words

    def _header(self, too_long: str) -> int:
        """Where the CR of a header line is, once its LF is there too; else -1."""
        end = self._line_end(b"\r", too_long)
        return end if end + 2 <= len(self._buffer) else -1

    def _number(self, end: int) -> int | None:
        """The number after the type byte of the line that ends at `end`, as Redis reads one."""
        digits = bytes(self._buffer[self._at + 1 : min(end, self._at + 22)])
        if not _INTEGER.match(digits) or not -(2**63) <= int(digits) < 2**63:
            return None
        return int(digits)

    def _array(self, authenticated: bool) -> Args | None:
        """Go on with the array here: its arguments (none for an empty one), or None."""
        if not self._missing:
            end = self._header("too big mbulk count string")
            if end == -1:
                return None
            count = self._number(end)
            if count is None or count > MULTIBULK_MAX:
                raise ProtocolError("invalid multibulk length")
            if count > UNAUTHENTICATED_ARGUMENTS_MAX and not authenticated:
                raise ProtocolError("unauthenticated multibulk length")
            self._at = end + 2
            if count <= 0:
                return []
            self._missing, self._bulk, self._args = count, -1, []
        while self._missing:
            if self._bulk == -1 and not self._bulk_header(authenticated):
                return None
            end = self._at + self._bulk
            if len(self._buffer) < end + 2:
                return None
            with memoryview(self._buffer) as view:
                self._args.append(bytes(view[self._at : end]))
            self._at = end + 2
            self._bulk = -1
            self._missing -= 1
        args, self._args = self._args, []
        return args

    def _bulk_header(self, authenticated: bool) -> bool:
        """Read the `$` line here into `_bulk`; False until it is complete."""
        end = self._header("too big bulk count string")
        if end == -1:
            return False
        if self._buffer[self._at] != 0x24:
            found = self._buffer[self._at : self._at + 1].decode("utf-8", "surrogateescape")
            raise ProtocolError(f"expected '$', got '{found}'")
        size = self._number(end)
        if size is None or not 0 <= size <= self.bulk_bytes_max:
            raise ProtocolError("invalid bulk length")
        if size > UNAUTHENTICATED_BULK_BYTES_MAX and not authenticated:
            raise ProtocolError("unauthenticated bulk length")
        self._at = end + 2
        self._bulk = size
        return True
