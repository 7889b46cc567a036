"""The mix: the same for the same seed, popular airports first, and never longer than asked."""

from __future__ import annotations

from collections import Counter

import pytest

from demo_site.traffic import EDITABLE, SHARES, Place, requests

PLACES = [Place(f"X{number:03}", f"City {number}", f"C{number % 7}") for number in range(200)]


def test_the_seed_decides() -> None:
    assert requests(PLACES, 300, 1) == requests(PLACES, 300, 1)
    assert requests(PLACES, 300, 1) != requests(PLACES, 300, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 50, 1000])
def test_there_are_as_many_as_asked_for(count: int) -> None:
    assert len(requests(PLACES, count, 3)) == count


def test_kinds_come_in_their_shares() -> None:
    mix = requests(PLACES, 5000, 4)
    kinds = Counter(request.kind for request in mix)
    for kind, share in SHARES.items():
        assert abs(kinds[kind] / 50 - share) < 4, kind


def test_popularity_is_steep() -> None:
    views = Counter(r.subject for r in requests(PLACES, 5000, 5) if r.kind == "airport")
    (_, first), (_, second) = views.most_common(2)
    assert first > 1.5 * second
    assert len(views) > 100


def test_an_edit_is_followed_by_its_page() -> None:
    mix = requests(PLACES, 2000, 6)
    edits = [(mix[i], mix[i + 1]) for i in range(len(mix) - 1) if mix[i].kind == "edit"]
    assert edits
    for edit, page in edits:
        assert edit.field in EDITABLE
        assert (page.kind, page.subject) == ("airport", edit.subject)
