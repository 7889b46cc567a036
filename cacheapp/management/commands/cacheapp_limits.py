"""`manage.py cacheapp_limits`: the rules, why a request is refused, forgetting what was counted.

    cacheapp_limits list
    cacheapp_limits explain --path /api/ [--method GET] [--ip ADDRESS] [--user PK] [--header N=V]
    cacheapp_limits reset --rule NAME (--ip ADDRESS | --user PK | --identity TEXT)

`explain` makes such a request in its mind, asks each rule, and charges nothing. The web processes
remember a refusal themselves, for MEMO_SECONDS at most: a reset takes effect there after that.
"""

from __future__ import annotations

from argparse import ArgumentParser
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.http import Http404, HttpRequest
from django.urls import resolve
from redis.exceptions import RedisError

from cacheapp.ratelimit.rates import Rate
from cacheapp.ratelimit.rules import Rule, effective_rates, proxies, rules, rules_of_code

_LOOPBACK = "127.0.0.1"


class Command(BaseCommand):
    """Lists, explains and resets."""

    help = "Show rate limits, why a request is refused, and forget what a client has used."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The three actions, with what each needs."""
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="the rules of settings and of decorators loaded so far")
        explain = actions.add_parser(
            "explain", help="which rules a request meets, and what is left"
        )
        explain.add_argument("--path", required=True)
        explain.add_argument("--method", default="GET")
        explain.add_argument("--ip", default=_LOOPBACK, help="the client's address")
        explain.add_argument("--user", help="the primary key of who is signed in")
        explain.add_argument("--header", action="append", default=[], metavar="NAME=VALUE")
        reset = actions.add_parser("reset", help="forget what one client has used of one rule")
        reset.add_argument("--rule", required=True)
        whom = reset.add_mutually_exclusive_group(required=True)
        whom.add_argument("--ip")
        whom.add_argument("--user")
        whom.add_argument("--identity", help="as `explain` prints it")

    def handle(self, *_args: Any, action: str, **options: Any) -> None:
        """Do it; CommandError for wrong settings and a server that does not answer."""
        try:
            # Decorators make their rules when the views are imported.
            resolve("/")
        except Http404:
            pass
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        try:
            getattr(self, f"_{action}")(options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except RedisError as error:
            raise CommandError(f"The server does not answer: {error}") from error

    def _list(self, _options: dict[str, Any]) -> None:
        for rule in self._rules():
            limiter = rule.limiter
            rates = ", ".join(map(str, limiter.rates)) if rule.rates_of is None else "by request"
            where = [
                f"{name}={value}"
                for name, value in (
                    ("path", rule.path), ("view", rule.view), ("namespace", rule.namespace),
                    ("methods", ",".join(sorted(rule.methods or ()))),
                )
                if value
            ]  # fmt: skip
            marks = [
                mark
                for mark, is_so in (("dry run", rule.dry_run), ("not blocking", not rule.block))
                if is_so
            ]
            self.stdout.write(
                f"{rule.name}: {rates} by {limiter.algorithm.name}, {limiter.on_failure} on failure"
                + "".join(f"; {text}" for text in [*where, *marks])
            )

    def _rules(self) -> list[Rule]:
        return [*rules(), *(lazy() for lazy in rules_of_code())]

    def _explain(self, options: dict[str, Any]) -> None:
        request = _request(options)
        met = 0
        for rule in rules():
            if not rule.matches(request):
                continue
            met += 1
            if rule.is_exempt is not None and _found(rule.is_exempt(request)):
                self.stdout.write(f"{rule.name}: exempt")
                continue
            rates = _rates(rule, request)
            if rule.rates_of is not None and rates is None:
                self.stdout.write(f"{rule.name}: no limit")
                continue
            identity = _found(rule.key(request, False))
            self.stdout.write(f"{rule.name}: counts {identity}")
            looked = rule.limiter.peek(identity, rates=rates)
            for state in looked.states:
                says = f"wait {state.wait_s:.1f} s" if state.wait_s else "admits"
                self.stdout.write(
                    f"  {state.rate}: {state.remaining} of {state.rate.limit} left, all back in "
                    f"{state.reset_s:.1f} s: {says}"
                )
            if not looked.states:
                self.stdout.write(
                    f"  the server does not answer, so it is {looked.limiter.on_failure}"
                )
        if not met:
            self.stdout.write("No rule of the settings is about such a request.")

    def _reset(self, options: dict[str, Any]) -> None:
        found = [rule for rule in self._rules() if rule.name == options["rule"]]
        if not found:
            names = ", ".join(sorted({rule.name for rule in self._rules()})) or "none"
            raise CommandError(f"There is no rule {options['rule']!r}; there are: {names}")
        identity = options["identity"]
        if options["user"]:
            identity = f"user:{options['user']}"
        elif options["ip"]:
            identity = f"ip:{proxies().client(options['ip'], '')}"
        whose = {"path": "/", "method": "GET", "header": [], "ip": _LOOPBACK, **options}
        whose["ip"] = whose["ip"] or _LOOPBACK
        rates = _rates(found[0], _request(whose))
        was_there = found[0].limiter.reset(identity, rates=rates)
        self.stdout.write(
            f"{options['rule']}: forgot what {identity} had used"
            if was_there
            else f"{options['rule']}: {identity} had used nothing"
        )


def _found(given: Any) -> Any:
    """What a rule's function gave, awaited where it is a coroutine function."""

    async def awaited() -> Any:
        return await given

    return async_to_sync(awaited)() if isawaitable(given) else given


def _rates(rule: Rule, request: Any) -> tuple[Rate, ...] | None:
    """The rates of a request where they are not the rule's own."""
    return None if rule.rates_of is None else effective_rates(_found(rule.rates_of(request)))


def _request(options: dict[str, Any]) -> Any:
    """A request as the options describe it, its URL resolved where that is possible."""
    request: Any = HttpRequest()
    request.path = request.path_info = options["path"]
    request.method = options["method"].upper()
    request.META["REMOTE_ADDR"] = options["ip"]
    for header in options["header"]:
        name, equals, value = header.partition("=")
        if not equals:
            raise CommandError(f"{header!r} is not NAME=VALUE")
        request.META[f"HTTP_{name.upper().replace('-', '_')}"] = value
    signed_in = options["user"] is not None
    request.user = SimpleNamespace(pk=options["user"], is_authenticated=signed_in)
    try:
        request.resolver_match = resolve(options["path"])
    except Http404:
        request.resolver_match = None
    return request
