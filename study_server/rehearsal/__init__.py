"""Simulated participants, through the real HTTP interface."""
