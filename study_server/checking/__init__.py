"""Two sides of images go in; what would give the answer away comes out, before anybody is asked."""
