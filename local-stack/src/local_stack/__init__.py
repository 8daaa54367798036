"""Starts embedded Redis and both services on this machine: `make run` and the tests use the same code."""
