"""Runs or folders and a configuration go in; a frozen study comes out: its manifest and its blinded stimuli."""
