"""The edit form: everything about an airport but its ICAO code, which is its address."""

from __future__ import annotations

from zoneinfo import available_timezones

from django import forms

from demo_site.models import Airport


class AirportForm(forms.ModelForm):
    """Checks what the model's validators check, and that the time zone exists."""

    class Meta:
        model = Airport
        fields = ("name", "city", "subd", "country", "iata", "elevation_ft", "lat", "lon", "tz")

    def clean_tz(self) -> str:
        """The time zone's IANA name; anything else is an error of the field."""
        name: str = self.cleaned_data["tz"]
        if name not in available_timezones():
            raise forms.ValidationError("No such time zone; Europe/Berlin is one.")
        return name
