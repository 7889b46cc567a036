"""The users of an engine, and what follows for its sessions when one of them changes.

Sessions hold their `User` object, so a change of rules counts at once. `Session.refresh` reads two
facts from here, whether the session must log in first and whether its user can be refused
anything; with neither, no command asks for permissions at all.

A user who is deleted loses every right before the connections are closed: what a client has sent
already is refused, where running it as the default user would give it more than it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cacheapp.engine.acl import files
from cacheapp.engine.acl.checks import Denial, Reason, allows_channel, check
from cacheapp.engine.acl.log import AclLog, Entry
from cacheapp.engine.acl.rules import RuleError, UnclosedSelectorError, apply, merged
from cacheapp.engine.acl.users import DEFAULT_USER, User, default_user
from cacheapp.engine.errors import (
    EXEC_DENIALS,
    EXEC_NO_PERMISSION,
    NO_PERMISSION_CHANNELS,
    NO_PERMISSION_KEYS,
    SCRIPT_DENIALS,
    CommandError,
    ConfigError,
    no_permission,
    text,
)

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session


class AccessControl:
    """The users of one engine by name, and the log of what was refused them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.default = default_user()
        self.users: dict[bytes, User] = {DEFAULT_USER: self.default}
        self.log = AclLog()
        self._configured(frozenset({"requirepass"}))
        engine.config.subscribe(self._configured)

    def _configured(self, names: frozenset[str]) -> None:
        if "requirepass" in names:
            password: str = self._engine.config["requirepass"]
            encoded = password.encode("utf-8", "surrogateescape")
            self.default.set_password(encoded or None)
            self._changed()

    def _changed(self) -> None:
        """Let every session find out again what it may do without being asked."""
        self.login_required = not self.default.lets_anybody_in
        for session in self._engine.sessions.values():
            session.refresh()

    @property
    def all_channels(self) -> bool:
        """Whether new users and selectors may use every channel (acl-pubsub-default)."""
        allowed: bool = self._engine.config["acl-pubsub-default"] == "allchannels"
        return allowed

    # Users

    def load_configured(self) -> None:
        """Take the users of the aclfile, where there is one; ConfigError with what is wrong."""
        path: str = self._engine.config["aclfile"]
        if path:
            try:
                self.replace(files.load(self._engine, path), by=None)
            except CommandError as error:
                raise ConfigError(str(error).removeprefix("ERR ")) from None

    def set_user(self, name: bytes, rules: Sequence[bytes]) -> None:
        """Apply all of `rules` to a user, who is made if there is none, or raise CommandError."""
        user = self.users.get(name)
        changed = User(name, all_channels=self.all_channels)
        if user is not None:
            changed.become(user)
        try:
            whole = merged(rules)
        except UnclosedSelectorError as error:
            raise CommandError(
                f"ERR Unmatched parenthesis in acl selector starting at '{text(error.rule)}'."
            ) from None
        for rule in whole:
            try:
                apply(changed, rule, all_channels=self.all_channels)
            except RuleError as error:
                raise CommandError(
                    f"ERR Error in ACL SETUSER modifier '{text(rule)}': {error}"
                ) from None
        if user is None:
            self.users[name] = changed
        else:
            self._end_subscribers(user, changed)
            user.become(changed)
            self._changed()

    def delete(self, names: Sequence[bytes], by: Session) -> int:
        """Delete the users that there are and end their sessions; how many. Not for `default`."""
        deleted = [user for name in names if (user := self.users.pop(name, None)) is not None]
        self._end_sessions(deleted, by)
        return len(deleted)

    def replace(self, users: dict[bytes, User], by: Session | None) -> None:
        """Have these users and no others, the default one at least; end all others' sessions.

        The default user stays the same object, and so do the sessions that it has.
        """
        old = [user for user in self.users.values() if user is not self.default]
        self.default.become(users.get(DEFAULT_USER) or default_user())
        self.users = {**users, DEFAULT_USER: self.default}
        self._changed()
        self._end_sessions(old, by)

    def add(self, users: dict[bytes, User]) -> None:
        """Have these users beside those there are, before there are sessions."""
        default = users.get(DEFAULT_USER)
        if default is not None:
            self.default.become(default)
        self.users |= {**users, DEFAULT_USER: self.default}
        self._changed()

    def _end_sessions(self, users: Sequence[User], by: Session | None) -> None:
        for user in users:
            user.become(User(user.name))
        self._changed()
        for session in list(self._engine.sessions.values()):
            if session.user in users:
                session.authenticated = False
                session.refresh()
                session.kill(by)

    def _end_subscribers(self, user: User, changed: User) -> None:
        """End the sessions of `user` that listen to what the changed rules no longer allow."""
        if any(selector.all_channels for selector in changed.selectors):
            return
        allowed = {channel: None for selector in changed.selectors for channel in selector.channels}
        for session in list(self._engine.sessions.values()):
            if session.user is not user:
                continue
            channels = [*session.channels, *session.shard_channels]
            patterns = session.patterns
            if not (
                all(allows_channel(allowed, name, is_pattern=True) for name in patterns)
                and all(allows_channel(allowed, name, is_pattern=False) for name in channels)
            ):
                session.kill(by=None)

    # Sessions

    def log_in(self, session: Session, name: bytes, password: bytes, command: bytes) -> bool:
        """Make `session` one of the user `name`; False, and logged, where that is refused.

        `command` is what the log shows: AUTH or HELLO.
        """
        user = self.users.get(name)
        if user is None or not user.accepts(password):
            context = "toplevel" if session.queue is None else "multi"
            self._add("auth", context, command, name, session)
            return False
        session.user = user
        session.authenticated = True
        session.refresh()
        return True

    def check(self, session: Session, row: Command, args: list[bytes]) -> None:
        """Raise NOPERM, and log it, where the session's user may not run this command."""
        denial = check(session.user, row, args)
        if denial is None:
            return
        session.last_command = row.display
        self._denied(
            denial, "toplevel" if session.queue is None else "multi", row, args, session, session
        )
        if denial.reason is Reason.COMMAND:
            raise no_permission(row.display)
        in_keys = denial.reason is Reason.KEY
        raise CommandError(NO_PERMISSION_KEYS if in_keys else NO_PERMISSION_CHANNELS)

    def check_queued(self, session: Session, row: Command, args: list[bytes]) -> None:
        """As `check`, for a command of a transaction that EXEC is about to run."""
        denial = check(session.user, row, args)
        if denial is not None:
            self._denied(denial, "multi", row, args, session, session)
            raise CommandError(EXEC_NO_PERMISSION + EXEC_DENIALS[denial.reason.name.lower()])

    def script_denial(
        self, session: Session, row: Command, args: list[bytes], caller: Session
    ) -> str | None:
        """As `check`, for a command of a script of `caller`: the error's text, or None."""
        denial = check(session.user, row, args)
        if denial is None:
            return None
        self._denied(denial, "lua", row, args, session, caller)
        return SCRIPT_DENIALS[denial.reason.name.lower()]

    def _denied(
        self,
        denial: Denial,
        context: str,
        row: Command,
        args: list[bytes],
        session: Session,
        client: Session,
    ) -> None:
        in_command = denial.reason is Reason.COMMAND
        what = row.display.encode() if in_command else args[denial.position]
        self._add(denial.reason.name.lower(), context, what, session.user.name, client)

    def _add(
        self, reason: str, context: str, what: bytes, username: bytes, client: Session
    ) -> None:
        now_ms, line = self._engine.now_ms, client.line()
        entry = Entry(reason, context, what, username, now_ms, line)
        self.log.add(entry, self._engine.config["acllog-max-len"])
