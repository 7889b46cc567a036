"""The manual's pages of the group `connection`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
    integer,
    one_of,
    optional,
    page,
    repeated,
    string,
    token,
)

PAGES: dict[str, Page] = {
    "AUTH": page(
        optional(string("username", since="6.0.0")),
        string("password"),
        history=(("6.0.0", "A user's name beside the password."),),
    ),
    "CLIENT|CACHING": page(one_of("mode", token("YES"), token("NO"))),
    "CLIENT|KILL": page(
        one_of(
            "filter",
            string("ip:port", deprecated_since="2.8.12"),
            repeated(
                one_of(
                    "new-format",
                    optional(integer("client-id", after="ID", since="2.8.12")),
                    optional(
                        one_of(
                            "normal_master_slave_pubsub",
                            token("NORMAL"),
                            token("MASTER", since="3.2.0"),
                            token("SLAVE"),
                            token("REPLICA", since="5.0.0"),
                            token("PUBSUB"),
                            after="TYPE",
                            since="2.8.12",
                        )
                    ),
                    optional(string("username", after="USER")),
                    optional(string("ip:port", after="ADDR")),
                    optional(string("ip:port", after="LADDR", since="6.2.0")),
                    optional(string("yes/no", after="SKIPME")),
                    optional(integer("maxage", after="MAXAGE", since="7.4.0")),
                )
            ),
        ),
        history=(
            ("2.8.12", "Filters by name."),
            ("2.8.12", "`ID`."),
            ("3.2.0", "`TYPE master`."),
            ("5.0.0", "`TYPE replica`, also still called `slave`."),
            ("6.2.0", "`LADDR`."),
            ("7.4.0", "`MAXAGE`."),
        ),
    ),
    "CLIENT|LIST": page(
        optional(
            one_of(
                "normal_master_replica_pubsub",
                token("NORMAL"),
                token("MASTER"),
                token("REPLICA"),
                token("PUBSUB"),
                after="TYPE",
                since="5.0.0",
            )
        ),
        optional(block("id", repeated(integer("client-id")), after="ID", since="6.2.0")),
        history=(
            ("2.8.12", "The field `id`."),
            ("5.0.0", "`TYPE`."),
            ("6.0.0", "`user`."),
            ("6.2.0", "`argv-mem`, `tot-mem`, `laddr`, `redir`, `ID`."),
            ("7.0.0", "`resp`, `multi-mem`, `rbs`, `rbp`."),
            ("7.0.3", "`ssub`."),
        ),
    ),
    "CLIENT|NO-EVICT": page(one_of("enabled", token("ON"), token("OFF"))),
    "CLIENT|NO-TOUCH": page(one_of("enabled", token("ON"), token("OFF"))),
    "CLIENT|PAUSE": page(
        integer("timeout"),
        optional(one_of("mode", token("WRITE"), token("ALL"), since="6.2.0")),
        history=(("6.2.0", "`mode`, for writes only."),),
    ),
    "CLIENT|REPLY": page(one_of("on_off_skip", token("ON"), token("OFF"), token("SKIP"))),
    "CLIENT|SETINFO": page(
        one_of("attr", string("libname", after="LIB-NAME"), string("libver", after="LIB-VER"))
    ),
    "CLIENT|SETNAME": page(string("connection-name")),
    "CLIENT|TRACKING": page(
        one_of("status", token("ON"), token("OFF")),
        optional(integer("client-id", after="REDIRECT")),
        optional(repeated(string("prefix", after="PREFIX"), token=True)),
        optional(token("BCAST")),
        optional(token("OPTIN")),
        optional(token("OPTOUT")),
        optional(token("NOLOOP")),
    ),
    "CLIENT|UNBLOCK": page(
        integer("client-id"), optional(one_of("timeout_error", token("TIMEOUT"), token("ERROR")))
    ),
    "ECHO": page(string("message")),
    "HELLO": page(
        optional(
            block(
                "arguments",
                integer("protover"),
                optional(
                    block("username_password", string("username"), string("password"), after="AUTH")
                ),
                optional(string("clientname", after="SETNAME")),
            )
        ),
        history=(("6.2.0", "`protover` may be left out, to ask about the connection only."),),
    ),
    "PING": page(optional(string("message"))),
    "SELECT": page(integer("index")),
}
