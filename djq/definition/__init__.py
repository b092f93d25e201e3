"""The definition language: text and values, no I/O."""
