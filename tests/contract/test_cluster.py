"""Both servers say that they are no part of a cluster."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    "line", ["CLUSTER INFO", "cluster slots", "CLUSTER HELP", "CLUSTER KEYSLOT k", "ASKING",
             "READONLY", "READWRITE", "CLUSTER MEET 127.0.0.1 7000", "CLUSTER RESET"],
)  # fmt: skip
def test_there_is_no_cluster(server: Server, line: str) -> None:
    assert refused(server, *line.split()) == "ERR This instance has cluster support disabled"


def test_subcommands_are_checked_first(server: Server) -> None:
    assert refused(server, "CLUSTER") == "ERR wrong number of arguments for 'cluster' command"
    assert refused(server, "CLUSTER", "nope") == "ERR unknown subcommand 'nope'. Try CLUSTER HELP."
    message = "ERR wrong number of arguments for 'cluster|meet' command"
    assert refused(server, "CLUSTER", "MEET") == message
