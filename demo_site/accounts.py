"""Logging in, and the page where a user sees and ends their sessions, on other devices too.

The users are made with the airports. Their password is no secret: the demo binds loopback only.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from cacheapp.sessions import revoke, revoke_all, sessions_of
from demo_site.server import UNUSABLE

USERS = ("ada", "grace")
PASSWORD = "airports"  # noqa: S105 - shown on the login page


def load_users() -> None:
    """Make the demo's users where they are missing."""
    for name in USERS:
        if not User.objects.filter(username=name).exists():
            User.objects.create_user(name, password=PASSWORD)


def context(request: HttpRequest) -> dict[str, Any]:
    """Template context: who is signed in, or None; also while nobody can say."""
    # Looking at a session makes a page differ by cookie; who has none has no session.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not hasattr(request, "user"):
        return {"account": None}
    try:
        return {"account": request.user if request.user.is_authenticated else None}
    except UNUSABLE:
        return {"account": None}


class Login(LoginView):
    """Django's, with the users to log in as."""

    template_name = "demo_site/login.html"
    extra_context = {"users": USERS, "password": PASSWORD}  # noqa: RUF012 - Django's attribute


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """The user's sessions. A POST ends the one called `id`, or all others."""
    if request.method == "POST":
        _end(request)
        return redirect("sessions")
    found = [(info, info.is_of(request.session)) for info in sessions_of(request.user)]
    return render(request, "demo_site/sessions.html", {"sessions": found})


def _end(request: HttpRequest) -> None:
    name = request.POST.get("id")
    if name is None:
        count = revoke_all(request.user, except_current=request.session)
        messages.success(request, f"Ended {count} other session{'' if count == 1 else 's'}.")
    elif revoke(request.user, name):
        messages.success(request, "Ended that session: its next request finds nobody signed in.")
    else:
        messages.warning(request, "That session was not there any more.")
