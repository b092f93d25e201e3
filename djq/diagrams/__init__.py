"""Pipelines as pictures: what depends on what, and which rows on which."""
