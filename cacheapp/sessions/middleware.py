"""``SessionMiddleware``: Django's, without a thread hop in async stacks, and telling who is there.

Sync stacks get Django's own. In an async one Django runs its session middleware in a thread; this
one awaits the store. In both, the session learns the client's address and user agent, as far as
CACHEAPP["SESSIONS"] keeps them, for "your sessions" pages.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from cacheapp import conf
from cacheapp.ratelimit.rules import proxies
from cacheapp.sessions.store import SessionStore


class SessionMiddleware(DjangoSessionMiddleware):
    """Takes the place of ``django.contrib.sessions.middleware.SessionMiddleware``."""

    def process_request(self, request: HttpRequest) -> None:
        """Give the request its session, which is loaded when it is looked at."""
        super().process_request(request)
        session: Any = request.session
        if isinstance(session, SessionStore):
            session.client = lambda: (
                proxies().of_request(request),
                request.META.get("HTTP_USER_AGENT", ""),
            )

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """The whole of an async stack's request; nothing here does more than await."""
        self.process_request(request)
        response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]
        return await self._aprocess_response(request, response)

    async def _aprocess_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """What Django's process_response does, awaiting."""
        session: Any = getattr(request, "session", None)
        if session is None:
            return response
        cookie = conf.session_cookie()
        if cookie["key"] in request.COOKIES and session.is_empty():
            response.delete_cookie(
                cookie["key"], cookie["path"], cookie["domain"], cookie["samesite"]
            )
            patch_vary_headers(response, ("Cookie",))
            return response
        is_to_be_saved = session.modified or conf.saves_every_session()
        is_told = is_to_be_saved and not session.is_empty() and response.status_code < 500
        if session.accessed or is_told:
            patch_vary_headers(response, ("Cookie",))
        if is_told:
            closes_with_browser = await session.aget_expire_at_browser_close()
            max_age = None if closes_with_browser else await session.aget_expiry_age()
            try:
                await session.asave()
            except UpdateError:
                raise SessionInterrupted(
                    "The request's session was ended before the request was: its user may have "
                    "logged out, or ended it, in another one."
                ) from None
            expires = None if max_age is None else http_date(time.time() + max_age)
            response.set_cookie(
                **cookie, value=session.session_key, max_age=max_age, expires=expires
            )
        return response
