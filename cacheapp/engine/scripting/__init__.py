"""Lua scripts: the sandbox, what crosses its border, and the cache of scripts."""

from cacheapp.engine.scripting.scripts import Scripts

__all__ = ["Scripts"]
