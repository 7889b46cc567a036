"""Every error text that the engine says, once.

Clients match on these texts, so they are Redis's own to the letter. A handler raises
`CommandError(TEXT)`; the first word is the code that clients map to exception classes.
"""

from __future__ import annotations


class CommandError(Exception):
    """A reply that is an error; `str(error)` is the line that a client reads after the `-`."""

    # Whether the counters of errors have it already (a script passes errors of its commands on).
    counted = False

    @property
    def code(self) -> str:
        """The first word of the text: ERR, WRONGTYPE, NOAUTH …"""
        return str(self).partition(" ")[0]


class SessionEndedError(CommandError):
    """A command of a session that CLIENT KILL has ended; a front tells its client otherwise."""

    def __init__(self) -> None:
        super().__init__("ERR this session has been ended")


class SubcommandError(CommandError):
    """The error of a child that counts its arguments itself; the engine has it quote the client."""

    def __init__(self, container: str, name: bytes) -> None:
        super().__init__()
        self._container = container
        self.quote(name)

    def quote(self, name: bytes) -> None:
        """Call the child `name`, as the client has spelled it."""
        shown = text(name[:128])
        line = f"ERR unknown subcommand or wrong number of arguments for '{shown}'."
        self.args = (f"{line} Try {self._container} HELP.",)


class ConfigError(ValueError):
    """A parameter that the engine does not have, or a value that it cannot take."""


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_A_HYPERLOGLOG = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED_HYPERLOGLOG = "INVALIDOBJ Corrupted HLL object detected"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_A_FLOAT = "ERR value is not a valid float"
SYNTAX = "ERR syntax error"
CLUSTER_DISABLED = "ERR This instance has cluster support disabled"
BUSY_KEY = "BUSYKEY Target key name already exists."
BAD_CHECKSUM = "ERR DUMP payload version or checksum are wrong"
BAD_DATA_FORMAT = "ERR Bad data format"
NO_SUCH_KEY = "ERR no such key"
OUT_OF_RANGE = "ERR index out of range"
SAME_OBJECT = "ERR source and destination objects are the same"
DB_OUT_OF_RANGE = "ERR DB index is out of range"
NEGATIVE_COUNT = "ERR value is out of range, must be positive"
VALUE_OUT_OF_RANGE = "ERR value is out of range"
OVERFLOW = "ERR increment or decrement would overflow"
INCREMENT_NOT_FINITE = "ERR increment would produce NaN or Infinity"
INVALID_CURSOR = "ERR invalid cursor"
STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
INVALID_CLIENT_NAME = "ERR Client names cannot contain spaces, newlines or special characters."
TIMEOUT_NOT_AN_INTEGER = "ERR timeout is not an integer or out of range"
TIMEOUT_NOT_A_FLOAT = "ERR timeout is not a float or out of range"
NEGATIVE_TIMEOUT = "ERR timeout is negative"
NO_AUTH = "NOAUTH Authentication required."
READ_ONLY_REPLICA = "READONLY You can't write against a read only replica."
READ_ONLY_SCRIPT = "READONLY Can not run script with write flag on readonly replica"
MASTER_DOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
STALE_SCRIPT = (
    "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and "
    "'allow-stale' flag is not set on the script."
)
NO_MASTER_LINK = "NOMASTERLINK Can't SYNC while not connected with my master"
UNBLOCKED_AS_REPLICA = (
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)
NO_REPLICAS = "NOREPLICAS Not enough good replicas to write."
REPLICA_KEYSPACE = "ERR Replica can't interact with the keyspace"
WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."
NO_PASSWORD_SET = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
EXEC_ABORTED = "EXECABORT Transaction discarded because of previous errors."
NESTED_MULTI = "ERR MULTI calls can not be nested"
WATCH_IN_MULTI = "ERR WATCH inside MULTI is not allowed"
EXEC_WITHOUT_MULTI = "ERR EXEC without MULTI"
DISCARD_WITHOUT_MULTI = "ERR DISCARD without MULTI"
NO_MULTI = "ERR Command not allowed inside a transaction"
NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."
NOTHING_ON_DISK = "ERR This server keeps nothing on disk: it was started without dir"
SAVE_FAILED = "ERR"
ANOTHER_SAVE = "ERR Background save already in progress"
BACKGROUND_BUSY = (
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
    "order to schedule a BGSAVE whenever possible."
)
SAVE_FAILED_BEFORE = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to "
    "disk. Commands that may modify the data set are disabled, because this instance is configured "
    "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option)."
    " Please check the Redis logs for details about the RDB error."
)
REWRITE_UNDER_WAY = "ERR Background append only file rewriting already in progress"
REWRITE_FAILED = (
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
    "information."
)
NOT_BUSY = "NOTBUSY No scripts in execution right now."
BUSY_SCRIPT = (
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
)
BUSY_FUNCTION = (
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)
UNKILLABLE = (
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
    "either wait the script termination or kill the server in a hard way using the SHUTDOWN "
    "NOSAVE command."
)
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
MIN_MAX_NOT_FLOAT = "ERR min or max is not a float"
MIN_MAX_NOT_STRING = "ERR min or max not valid string range item"
BIT_OFFSET = "ERR bit offset is not an integer or out of range"
BIT_VALUE = "ERR bit is not an integer or out of range"
FIELDS_MISSING = "ERR Mandatory argument FIELDS is missing or not at the right position"
FIELDS_NOT_POSITIVE = "ERR Parameter `numFields` should be greater than 0"
FIELDS_NOT_COUNTED = "ERR Number of fields must be a positive integer"
FIELDS_MISMATCH = "ERR The `numfields` parameter must match the number of arguments"
NEGATIVE_EXPIRE = "ERR invalid expire time, must be >= 0"
DEBUG_NOT_ALLOWED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can '
    "run it from a local connection, otherwise you need to set this option in the configuration "
    "file, and then restart the server."
)
NOVALUES_OUTSIDE_HSCAN = "ERR NOVALUES option can only be used in HSCAN"
WAITAOF_WITHOUT_AOF = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
# Client-side caching.
PREFIX_WITHOUT_BCAST = "ERR PREFIX option requires BCAST mode to be enabled"
BCAST_WITH_OPT = "ERR OPTIN and OPTOUT are not compatible with BCAST"
OPTIN_AND_OPTOUT = "ERR You can't specify both OPTIN mode and OPTOUT mode"
REDIRECTED_TWICE = "ERR A client can only redirect to a single other client"
REDIRECTED_TO_NOBODY = "ERR The client ID you want redirect to does not exist"
CACHING_UNTRACKED = (
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled"
)
CACHING_YES = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
CACHING_NO = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."


def tracking_mode_is_set(mode: str) -> CommandError:
    """The error for a CLIENT TRACKING that would change `mode` while it is on."""
    return CommandError(
        f"ERR You can't switch {mode} before disabling tracking for this client, and then "
        "re-enabling it with a different mode."
    )


def overlapping_prefixes(prefix: bytes, whose: str, other: bytes) -> CommandError:
    """The error for a prefix of CLIENT TRACKING that overlaps with `whose` prefix `other`."""
    return CommandError(
        f"ERR Prefix '{text(prefix)}' overlaps with {whose} prefix '{text(other)}'. "
        "Prefixes for a single client must not overlap."
    )


ACL_SYNTAX = "Syntax error"
ACL_UNKNOWN_COMMAND = "Unknown command or category name in ACL"
ACL_PATTERN_AFTER_ALL_KEYS = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
    "any effect. Try 'resetkeys' to start with an empty list of patterns"
)
ACL_PATTERN_AFTER_ALL_CHANNELS = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
    "have any effect. Try 'resetchannels' to start with an empty list of channels"
)
ACL_NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
ACL_BAD_HASH = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
    "characters"
)
ACL_DUPLICATE_USER = "Duplicate user found. A user can only be defined once in config files"
ACL_FIRST_ARGUMENT_OF_CHILD = "Allowing first-arg of a subcommand is not supported"
ACL_BAD_USERNAME = "ERR Usernames can't contain spaces or null characters"
ACL_KEEPS_DEFAULT = "ERR The 'default' user cannot be removed"
ACL_NO_FILE = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration."
)
ACL_NOT_SAVED = (
    "ERR There was an error trying to save the ACLs. Please check the server logs for more "
    "information"
)
ACL_NOT_LOADED = (
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
)
NO_PERMISSION_KEYS = (
    "NOPERM this user has no permissions to access one of the keys used as arguments"
)
NO_PERMISSION_CHANNELS = (
    "NOPERM this user has no permissions to access one of the channels used as arguments"
)
EXEC_NO_PERMISSION = (
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
    "call. This command is no longer allowed for the following reason: "
)
# Why, by what was refused, at the end of EXEC_NO_PERMISSION.
EXEC_DENIALS = {
    "command": "no permission to execute the command or subcommand",
    "key": "no permission to touch the specified keys",
    "channel": "no permission to access one of the channels used as arguments",
}
SCRIPT_DENIALS = {
    "command": "ERR The user executing the script can't run this command or subcommand",
    "key": (
        "ERR The user executing the script can't access at least one of the keys mentioned in the "
        "command arguments"
    ),
    "channel": (
        "ERR The user executing the script can't publish to the channel mentioned in the command"
    ),
}
MODULES_NOT_ALLOWED = DEBUG_NOT_ALLOWED.replace("DEBUG", "MODULE").replace("-debug-", "-module-")


def wrong_arity(command: str) -> CommandError:
    """The error for a wrong number of arguments; `command` in lower case, `a|b` for a child."""
    return CommandError(f"ERR wrong number of arguments for '{command}' command")


def unknown_command(args: list[bytes]) -> CommandError:
    """The error for a name that no command has, quoting the first arguments as Redis does."""
    shown = ""
    for argument in args[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{text(argument[: 128 - len(shown)])}' "
    return CommandError(
        f"ERR unknown command '{text(args[0][:128])}', with args beginning with: {shown}"
    )


def unknown_subcommand(container: str, name: bytes) -> CommandError:
    """The error for a container command (`container` in upper case) without such a child."""
    return CommandError(
        f"ERR unknown subcommand '{text(name[:128])}'. Try {container.upper()} HELP."
    )


def wrong_subcommand_arity(container: str, name: bytes) -> CommandError:
    """The error of the few children that count their arguments themselves."""
    return SubcommandError(container, name)


def no_permission(command: str) -> CommandError:
    """The error for a command (in lower case, `a|b` for a child) that the user may not run."""
    return CommandError(f"NOPERM this user has no permissions to run the '{command}' command")


def sort_denied(option: str) -> str:
    """The error's text for BY or GET of SORT with a user who may not read every key."""
    return f"ERR {option} option of SORT denied due to insufficient ACL permissions."


def invalid_expire(command: str) -> CommandError:
    """The error for a deadline that is not positive or does not fit; `command` in lower case."""
    return CommandError(f"ERR invalid expire time in '{command}' command")


def exec_refused(error: CommandError) -> CommandError:
    """The error for an EXEC that was itself refused (it had arguments): it ends the MULTI."""
    reason = str(error).removeprefix("ERR ")
    return CommandError(f"EXECABORT Transaction discarded because of: {reason}")


def subscribed(command: str) -> CommandError:
    """The error for a command which a RESP2 client may not send while subscribed."""
    return CommandError(
        f"ERR Can't execute '{command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
        "RESET are allowed in this context"
    )


def append_failed(reason: str) -> str:
    """The text where the log of changes could not be written."""
    return f"MISCONF Errors writing to the AOF file: {reason}"


def text(raw: bytes) -> str:
    """Client bytes inside an error line, up to a NUL as in C; surrogates stand for odd bytes."""
    raw = raw.partition(b"\0")[0]
    return raw.replace(b"\r", b" ").replace(b"\n", b" ").decode("utf-8", "surrogateescape")


def closing_text(raw: bytes) -> str:
    """As `text`, for bytes that end an error line: Redis takes newlines off its end."""
    return text(raw.partition(b"\0")[0].rstrip(b"\r\n"))
