"""How good is an image-to-image translation? Runs and records, metrics and scorers, and the protocols that use them."""
