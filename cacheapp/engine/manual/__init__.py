"""The manual: the syntax and the history of each command, which only COMMAND DOCS reads.

A module a group of commands, as rows name the group; in it one `page(...)` a command, made of the
words of `words`. A row says all else (summary, since, complexity, keys). Nothing here is imported
before somebody asks for it.
"""

from __future__ import annotations

import importlib
from functools import cache

from cacheapp.engine.manual.words import Page, page

_EMPTY = page()


@cache
def _pages(group: str) -> dict[str, Page]:
    module = importlib.import_module(f"{__name__}.{group.replace('-', '_')}")
    pages: dict[str, Page] = module.PAGES
    return pages


def page_of(group: str, name: str) -> Page:
    """The page of the command `name` (`CONFIG|GET` for a child), an empty one where there is none.

    ModuleNotFoundError for a group that has no module here.
    """
    return _pages(group).get(name, _EMPTY)
