"""The tests mirror the tree of cacheapp; `contract/` runs on the engine and on a real server."""
