"""Runs of one dataset go in; tables of what was measured alike come out, with a report to look at. No torch."""
