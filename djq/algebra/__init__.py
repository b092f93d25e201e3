"""Queries as values, no I/O."""
