"""`python -m cyclegan`, which torchrun needs."""

from cyclegan.cli import main

main()
