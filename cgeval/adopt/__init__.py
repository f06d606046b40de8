"""A folder of another program's results goes in; a run directory comes out (docs/run-directory.md)."""

from cgeval.adopt.adopting import Adopted, AdoptedSet, adopt
from cgeval.adopt.deciding import How
from cgeval.adopt.layouts import ForeignResults, recognise
from cgeval.adopt.resolving import Claims

__all__ = ["Adopted", "AdoptedSet", "Claims", "ForeignResults", "How", "adopt", "recognise"]
