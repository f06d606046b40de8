"""A sealed run and its dataset go in; scores with intervals and names, and what looks wrong with them, come out."""
