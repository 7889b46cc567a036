"""The demo's addresses. An airport is addressed by its ICAO code, a country by its two letters."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from demo_site import accounts, api, views

urlpatterns = [
    path("", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("countries/", views.countries, name="countries"),
    path("countries/<str:code>/", views.country, name="country"),
    path("airports/<str:icao>/", views.airport, name="airport"),
    path("airports/<str:icao>/edit/", views.edit, name="edit"),
    path("login/", accounts.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("sessions/", accounts.sessions, name="sessions"),
    path("limits/", api.limits, name="limits"),
    path("api/airports/<str:icao>/", api.airport, name="api-airport"),
    path("api/countries/<str:code>/", api.country, name="api-country"),
]
