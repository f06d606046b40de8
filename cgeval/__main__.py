"""`python -m cgeval`."""

from cgeval.cli import main

main()
