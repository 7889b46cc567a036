"""Lua scripts and functions: the sandbox, what crosses its border, and what clients have loaded."""

from cacheapp.engine.scripting.functions import Functions
from cacheapp.engine.scripting.scripts import Scripts

__all__ = ["Functions", "Scripts"]
