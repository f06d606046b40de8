"""Translators by name: the one place to add a line for a new one."""
