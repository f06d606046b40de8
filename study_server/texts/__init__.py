"""What participants read, in each language."""
