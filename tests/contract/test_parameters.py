"""Every parameter of redis-server 7.0 on both servers: its default, and what it refuses."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError

# Where each server says something about itself; what the session's redis-server was started with.
OWN = {
    b"bind", b"dir", b"port", b"save", b"enable-debug-command", b"enable-module-command",
    b"unixsocket", b"logfile", b"pidfile", b"daemonize", b"always-show-logo", b"io-threads",
    b"set-proc-title", b"requirepass", b"appendonly",
}  # fmt: skip


def everything(server: Server) -> dict[bytes, bytes]:
    flat = server.execute("CONFIG", "GET", "*")
    return dict(zip(flat[::2], flat[1::2], strict=True))


# What redis-server 7.0.15 prints; both servers are held to it.
DEFAULTS = """
acl-pubsub-default resetchannels
aclfile
acllog-max-len 128
active-defrag-cycle-max 25
active-defrag-ignore-bytes 104857600
aof-load-truncated yes
appenddirname appendonlydir
auto-aof-rewrite-min-size 67108864
busy-reply-threshold 5000
client-output-buffer-limit normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60
cluster-enabled no
cluster-node-timeout 15000
cluster-preferred-endpoint-type ip
cluster-slave-validity-factor 10
disable-thp yes
latency-tracking yes
latency-tracking-info-percentiles 50 99 99.9
lazyfree-lazy-user-flush no
list-compress-depth 0
loglevel notice
lua-time-limit 5000
maxmemory-clients 0
min-slaves-max-lag 10
oom-score-adj no
oom-score-adj-values 0 200 800
proc-title-template {title} {listen-addr} {server-mode}
repl-backlog-size 1048576
repl-ping-replica-period 10
replica-priority 100
shutdown-on-sigterm default
slave-read-only yes
slaveof
syslog-facility local0
tcp-backlog 511
tls-session-cache-size 20480
tracking-table-max-keys 1000000
unixsocketperm 0
"""


def test_the_defaults(server: Server) -> None:
    known = everything(server)
    assert len(known) == 192
    for line in DEFAULTS.strip().splitlines():
        name, _, value = line.partition(" ")
        assert known[name.encode()] == value.encode(), name


def test_each_takes_back_what_it_says(server: Server) -> None:
    for name, value in everything(server).items():
        if name in OWN:
            continue
        try:
            reply = server.execute("CONFIG", "SET", name, value)
        except ReplyError as error:
            reply = error
        fixed = str(reply).endswith(("immutable config", "protected config"))
        assert reply == b"OK" or fixed, (name, reply)


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("maxmemory", "", b"0"),
        ("maxmemory-clients", "5%", b"5%"),
        ("maxmemory-clients", "2mb", b"2097152"),
        ("shutdown-on-sigterm", "force now nosave", b"nosave now force"),
        ("oom-score-adj-values", "1 2 3", b"1 2 3"),
        ("latency-tracking-info-percentiles", "50.0 99.90 100", b"50 99.9 100"),
        ("latency-tracking-info-percentiles", "", b""),
        ("save", "10 1 20 2", b"10 1 20 2"),
        ("save", "", b""),
        ("repl-backlog-size", "10000002", b"10000002"),
        ("tls-protocols", "x", b"x"),
        ("client-output-buffer-limit", "",
         b"normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
        ("repl-ping-slave-period", "20", b"20"),
        ("masterauth", "secret", b"secret"),
        ("loglevel", "DEBUG", b"debug"),
    ],
)  # fmt: skip
def test_taken(server: Server, name: str, given: str, shown: bytes) -> None:
    before = server.execute("CONFIG", "GET", name)[1]
    try:
        assert server.execute("CONFIG", "SET", name, given) == b"OK"
        assert server.execute("CONFIG", "GET", name) == [name.encode(), shown]
    finally:
        server.execute("CONFIG", "SET", name, before)


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("maxmemory", "1zb", "argument must be a memory value"),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("timeout", "01", "argument couldn't be parsed into an integer"),
        ("timeout", "+1", "argument couldn't be parsed into an integer"),
        ("repl-timeout", "0", "argument must be between 1 and 2147483647 inclusive"),
        ("repl-backlog-size", "0", "argument must be between 1 and 9223372036854775807 inclusive"),
        ("maxmemory-clients", "200%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "-5", "argument must be a memory or percent value"),
        ("shutdown-on-sigterm", "save nosave",
         "shutdown options SAVE and NOSAVE can't be used simultaneously"),
        ("shutdown-on-sigterm", "x",
         "argument(s) must be one of the following: default, save, nosave, now, force"),
        ("loglevel", "x",
         "argument(s) must be one of the following: debug, verbose, notice, warning"),
        ("oom-score-adj-values", "1 2", "wrong number of arguments"),
        ("oom-score-adj-values", "1 2 x",
         "Invalid oom-score-adj-values, elements must be between -2000 and 2000."),
        ("dbfilename", "x", "can't set protected config"),
        ("dir", "/", "can't set protected config"),
        ("tcp-backlog", "1", "can't set immutable config"),
        ("cluster-announce-hostname", "a_b",
         "Hostnames may only contain alphanumeric characters, hyphens or dots"),
        ("proc-title-template", "{x}",
         "template format is invalid or contains unknown variables"),
        ("latency-tracking-info-percentiles", "1 x",
         "Invalid latency-tracking-info-percentiles parameters"),
        ("latency-tracking-info-percentiles", "101",
         "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
        ("save", "1", "Invalid save parameters"),
        ("save", "0 1", "Invalid save parameters"),
        ("client-output-buffer-limit", "normal 1 2",
         "Wrong number of arguments in buffer limit configuration."),
        ("client-query-buffer-limit", "1",
         "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("rdbcompression", "maybe", "argument must be 'yes' or 'no'"),
    ],
)  # fmt: skip
def test_refused(server: Server, name: str, given: str, reason: str) -> None:
    with pytest.raises(ReplyError) as caught:
        server.execute("CONFIG", "SET", name, given)
    expected = f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    assert str(caught.value) == expected


def test_hidden_ones_are_found_by_their_name_only(server: Server) -> None:
    assert b"key-load-delay" not in everything(server)
    assert server.execute("CONFIG", "GET", "KEY-load-delay") == [b"KEY-load-delay", b"0"]
    assert server.execute("CONFIG", "SET", "key-load-delay", "0") == b"OK"


def test_a_refused_value_leaves_all_as_they_were(server: Server) -> None:
    with pytest.raises(ReplyError):
        server.execute("CONFIG", "SET", "repl-timeout", 7, "maxmemory-clients", "200%", "hz", "x")
    assert server.execute("CONFIG", "GET", "repl-timeout") == [b"repl-timeout", b"60"]


def test_a_log_can_be_begun_and_ended(server: Server) -> None:
    assert server.execute("CONFIG", "SET", "appendonly", "yes") == b"OK"
    assert server.execute("SET", "k", "v") == b"OK"
    assert server.execute("CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]
    assert server.execute("CONFIG", "SET", "appendonly", "no") == b"OK"
