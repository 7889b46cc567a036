"""The one table of the demo: airports, as the airportsdata package gives them.

Left out on purpose: indexes that would make the pages fast without a cache. A real site has queries
no index helps with, and these stand for them.
"""

from __future__ import annotations

from typing import TypedDict

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models


class AirportRow(TypedDict):
    """What is cached of an airport: plain data, so that a cached value never depends on the ORM."""

    icao: str
    iata: str
    name: str
    city: str
    subd: str
    country: str
    elevation_ft: float
    lat: float
    lon: float
    tz: str


class Airport(models.Model):
    """An airport: codes, place, elevation in feet, position in degrees, IANA time zone."""

    icao = models.CharField("ICAO code", max_length=4, primary_key=True)
    iata = models.CharField(
        "IATA code",
        max_length=3,
        blank=True,
        validators=[
            RegexValidator(r"^[A-Z0-9]{3}$", "Three capital letters or digits, or nothing.")
        ],
    )
    name = models.CharField(max_length=100)
    city = models.CharField(max_length=80, blank=True)
    subd = models.CharField("region", max_length=80, blank=True)
    country = models.CharField(
        max_length=2, validators=[RegexValidator(r"^[A-Z]{2}$", "Two capital letters, as in DE.")]
    )
    elevation_ft = models.FloatField(
        "elevation (ft)", validators=[MinValueValidator(-2000), MaxValueValidator(30000)]
    )
    lat = models.FloatField(
        "latitude (°)", validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    lon = models.FloatField(
        "longitude (°)", validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    tz = models.CharField("time zone", max_length=40)

    def __str__(self) -> str:
        return f"{self.icao} {self.name}"

    def row(self) -> AirportRow:
        """This airport as plain data."""
        return AirportRow(
            icao=self.icao,
            iata=self.iata,
            name=self.name,
            city=self.city,
            subd=self.subd,
            country=self.country,
            elevation_ft=self.elevation_ft,
            lat=self.lat,
            lon=self.lon,
            tz=self.tz,
        )
