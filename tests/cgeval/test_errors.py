"""The error tree is as it is drawn, and an error is its one sentence."""

import inspect

import pytest

from cgeval import errors
from cgeval.errors import CgevalError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Parent of each class in the drawing of the module's docstring, by indentation."""
    parents, above = {}, {2: "Exception"}
    for line in errors.__doc__.splitlines():
        name = line.split()[0] if line.split() else ""
        if line.startswith("    ") and name.endswith("Error"):
            depth = len(line) - len(line.lstrip())
            parents[name] = above[depth - 2]
            above[depth] = name
    return parents


def test_the_tree_is_as_it_is_drawn():
    assert drawn() == {c.__name__: c.__bases__[0].__name__ for c in CLASSES}


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_its_sentence_and_a_mistake_of_the_users(kind):
    assert str(kind("maps: no such folder.")) == "maps: no such folder."
    assert issubclass(kind, CgevalError)
    assert not issubclass(CgevalError, OSError | ValueError)  # so that no `except` meant for those swallows it
