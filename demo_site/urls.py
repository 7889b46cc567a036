"""The demo's addresses. An airport is addressed by its ICAO code, a country by its two letters."""

from __future__ import annotations

from django.urls import path

from demo_site import views

urlpatterns = [
    path("", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("countries/", views.countries, name="countries"),
    path("countries/<str:code>/", views.country, name="country"),
    path("airports/<str:icao>/", views.airport, name="airport"),
    path("airports/<str:icao>/edit/", views.edit, name="edit"),
]
