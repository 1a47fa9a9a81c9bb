"""The errors carry the exit codes that the command line promises."""

import inspect

import pytest
import torch

from scoresim import errors


def test_the_public_list_is_the_tree() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert classes == set(errors.__all__) == {"BadInput", "CheckFailed", "NotNow", "ScoresimError"}


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


def test_what_a_library_says_on_many_lines_is_said_on_one() -> None:
    with pytest.raises(RuntimeError) as found:
        torch.nn.Linear(3, 2).load_state_dict(torch.nn.Linear(4, 1).state_dict())
    said = errors.in_short(found.value)
    assert said.startswith("Error(s) in loading state_dict for Linear: size mismatch for weight: ")
    assert said.endswith("torch.Size([2, 3]), and 1 more")
    assert errors.in_short(ValueError("two\nlines.")) == "two lines"
    assert (errors.in_short(ValueError("one.")), errors.in_short(KeyError())) == ("one.", "KeyError")
