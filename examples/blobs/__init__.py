"""Find stars, nuclei and craters in real pictures: the pipeline of `djq demo`."""

from __future__ import annotations
