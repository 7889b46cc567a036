"""Tests of the cache backend, a file for each of its modules."""
