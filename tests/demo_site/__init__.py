"""Tests of the demo site, a file for each of its modules."""
