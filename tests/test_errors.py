"""The errors carry the exit codes that the command line promises."""

import inspect

import pytest

from scoresim import errors


def test_the_public_list_is_the_tree() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert classes == set(errors.__all__) == {"BadInput", "CheckFailed", "ScoresimError"}


@pytest.mark.parametrize(("kind", "code"), [(errors.ScoresimError, 2), (errors.BadInput, 2), (errors.CheckFailed, 1)])
def test_exit_codes(kind: type[errors.ScoresimError], code: int) -> None:
    error = kind("a.mid is empty; give a file with notes.")
    assert error.exit_code == code
    assert isinstance(error, errors.ScoresimError)
    assert str(error) == "a.mid is empty; give a file with notes."


def test_every_error_of_the_tree_is_in_the_docstring() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert f"{name} " in errors.__doc__
