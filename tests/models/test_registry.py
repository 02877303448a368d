"""The arguments of a network that a file may name. Whole checkpoints are tried in test_checkpoint.py."""

from typing import Any

import pytest

from mnist_exp.models.checkpoint_file import CheckpointError
from mnist_exp.models.mean_digit import NearestMean
from mnist_exp.models.nets import CNN, MLP
from mnist_exp.models.registry import (
    MAX_ARGUMENT,
    MAX_PARAMETERS,
    check_arguments,
    check_network,
    check_size,
    has_type,
    is_plain,
)


def test_an_argument_without_a_default_must_be_there():
    check_arguments(NearestMean, {"temperature": 0.5})
    check_arguments(MLP, {})
    with pytest.raises(CheckpointError, match="NearestMean lacks the argument 'temperature'"):
        check_arguments(NearestMean, {})


def test_an_argument_that_the_network_does_not_have_is_refused():
    with pytest.raises(CheckpointError, match="MLP has no argument 'depth'"):
        check_arguments(MLP, {"hidden": 8, "depth": 2})


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, True),
        (MAX_ARGUMENT, int, True),
        (0, int, False),
        (MAX_ARGUMENT + 1, int, False),
        (True, int, False),
        (True, bool, True),
        (1, bool, False),
        (1.0, int, False),
        (1e-9, float, True),
        (1, float, True),
        (0.0, float, False),
        (float("nan"), float, False),
        (float("inf"), float, False),
        ([16, 32], tuple[int, int], True),
        ((16, 32), tuple[int, int], True),
        ([16], tuple[int, int], False),
        ([16, 0], tuple[int, int], False),
        ("16", tuple[int, int], False),
        (512, int | list[int], True),
        ([512, 256], int | list[int], True),
        ([], int | list[int], True),
        ([512, 0], int | list[int], False),
        ([1] * 201, int | list[int], False),
        (None, int | list[int], False),
    ],
)
def test_a_value_fits_its_type_within_limits(value: Any, hint: Any, expected: bool):
    assert has_type(value, hint) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, True), (False, True), ("relu", True), ("x" * 201, False), (-MAX_ARGUMENT, True), (1e7, False), ({}, False)],
)
def test_plain_values_are_numbers_and_short_texts(value: Any, expected: bool):
    assert is_plain(value) == expected


def test_the_number_of_parameters_is_limited_before_a_network_takes_memory():
    check_size(CNN, {}, required=True)
    with pytest.raises(CheckpointError, match=f"parameters, at most {MAX_PARAMETERS:,} are allowed"):
        check_size(MLP, {"hidden": MAX_ARGUMENT}, required=True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"hidden": [512, 256]}, None),
        ({"hidden": [20_000, 20_000]}, "parameters, at most 20,000,000 are allowed"),
        (
            {"hidden": "wide"},
            "cannot take hidden='wide': it must be a whole number of at least 1",
        ),
    ],
)
def test_a_network_that_could_not_be_loaded_again_is_refused_before_training(arguments: dict, problem: str | None):
    net = {"_target_": "mnist_exp.models.nets.MLP", **arguments}
    if problem is None:
        check_network(net)
        return
    with pytest.raises(ValueError, match=f"model.net cannot be used: its network .*{problem}"):
        check_network(net)


def test_a_network_of_the_users_own_is_not_judged():
    check_network({"_target_": "my_module.MyNet", "hidden": "wide"})
