"""Names of cached values: readable, short, and different for different things."""

from __future__ import annotations

from demo_site import keys


def test_searches_do_not_share_a_key() -> None:
    questions = [("a", "b"), ("a+b",), ("a b",), ("ab",), ("a%2Bb",), ("ä",), ("a", "b", "c")]
    assert len({keys.search(words) for words in questions}) == len(questions)


def test_a_key_is_one_word_of_bounded_length() -> None:
    for words in [("new", "york"), ("\0",), ("\U0001f600" * 80,), ("x" * 80, "y" * 80)]:
        key = keys.search(words)
        assert key.isascii()
        assert key.isprintable()
        assert " " not in key
        assert len(key) <= keys.READABLE_MAX + len("search:")
    assert keys.search(("new", "york")) == "search:new+york"
