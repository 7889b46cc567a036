"""Tests of the Channels layer, a file for each of its modules that can be tested alone."""
