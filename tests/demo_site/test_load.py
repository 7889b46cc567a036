"""demo_load: all airports, twice the same, edits kept unless --reset."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.cache import cache
from django.core.management import call_command

from demo_site.load import load_airports
from demo_site.models import Airport

AIRPORTS_MIN = 28_000


@pytest.mark.django_db
def test_loading_again_keeps_edits_and_reset_undoes_them(server: str) -> None:
    out = StringIO()
    call_command("demo_load", stdout=out)
    count = Airport.objects.count()
    assert count >= AIRPORTS_MIN
    assert f"{count:,} airports" in out.getvalue()
    Airport.objects.filter(pk="EDDF").update(name="Edited")
    Airport.objects.filter(pk="KJFK").delete()
    assert load_airports() == count
    assert Airport.objects.get(pk="EDDF").name == "Edited"
    assert Airport.objects.get(pk="KJFK").iata == "JFK"
    cache.set("airport:EDDF", "Edited")
    call_command("demo_load", "--reset", stdout=out)
    assert Airport.objects.get(pk="EDDF").name == "Frankfurt am Main International Airport"
    assert Airport.objects.count() == count
    assert cache.get("airport:EDDF") is None


@pytest.mark.django_db
def test_the_datas_own_values_pass_the_forms_checks() -> None:
    load_airports()
    for airport in Airport.objects.order_by("pk")[::280]:
        airport.full_clean()


@pytest.mark.django_db
def test_the_migrations_make_the_models() -> None:
    call_command("makemigrations", "demo_site", check=True, dry_run=True, stdout=StringIO())
