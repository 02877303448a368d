from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mnist_exp.cli.overrides import CONF
from mnist_exp.cli.ranges import (
    ABOVE_ZERO,
    AT_LEAST_ZERO,
    AUTO_OR_BOOL,
    BATCHES,
    BELOW_ONE,
    DEVICE,
    DEVICES,
    DURATION,
    RANGES,
    SHARE,
    THREADS,
    TRAIN_BATCHES,
    Range,
    between,
    list_of,
    one_of,
    out_of_range,
)

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (between(1, 3), [1, 2, 3], [0, 4, 10**20, 1.0, True, "1", None]),
        (between(0, 1), [0, 1], [-1, False]),
        (THREADS, [None, 1, 1024], [0, 1025, True, 1.5]),
        (DEVICES, ["auto", -1, 1, 16, [0], [0, 3]], [0, 17, -2, True, 1.0, [], [True], ["a"], [0] * 17, "many", None]),
        (one_of("auto", "32"), ["auto", 32, "32"], ["32.0", "aut", None]),
        (ABOVE_ZERO, [1, 1e-9], [0, 0.0, -1, True, "1", NAN, INFINITY]),
        (AT_LEAST_ZERO, [0, 0.0, 7], [-1e-9, False, "0", NAN, INFINITY]),
        (SHARE, [0, 0.0, 1, 1.0], [1.001, -0.001, False, None, NAN]),
        (BELOW_ONE, [0, 0.0, 0.999], [1, 1.0, -0.001, False, None]),
        (TRAIN_BATCHES, [1, 2, 0.5, 1.0], [0, 0.0, None, -1, 1.1, True, "1", NAN]),
        (BATCHES, [None, 0, 1, 2, 0.0, 0.5, 1.0], [-1, -0.1, 1.1, True, False, "1"]),
        (DURATION, ["00:00:10:00", "12:23:59:59"], ["00:10:00", "1 hour", 600, None, "00:00:00:00:00", "00:00:00:00"]),
        (list_of(between(1, 2)), [[], [1], [2, 1, 1]], [1, ["a"], [0], [1, None], None]),
        (list_of(SHARE, count=2), [[0, 1]], [[], [0], [0, 1, 1], [0, 2]]),
        (DEVICE, ["auto", "cpu", "cuda", "mps", "cuda:1"], ["gpu", "cuda:", "cuda:1x", 0, None]),
        (AUTO_OR_BOOL, ["auto", True, False], [1, 0, "true", None]),
    ],
)
def test_a_range_ends_where_it_says(range_: Range, inside: list, outside: list):
    assert [value for value in inside if value not in range_] == []
    assert [value for value in outside if value in range_] == []


def test_a_range_says_what_it_is():
    assert repr(between(1, 2000)) == "<Range: a whole number from 1 to 2,000>"
    assert repr(RANGES["data.placement"]) == "<Range: one of: auto, device, host>"


def test_a_value_out_of_range_gets_a_sentence_and_a_typo_a_suggestion():
    assert out_of_range("data.batch_size", 0) == "data.batch_size is a whole number from 1 to 1,000,000, not 0"
    assert out_of_range("data.placement", "hots") == (
        "data.placement is one of: auto, device, host, not 'hots': did you mean 'host'?"
    )


def test_a_value_in_range_and_a_key_without_a_range_pass():
    assert out_of_range("data.batch_size", 1) is None
    assert out_of_range("name", -1) is None


def numbers(node: Any, key: str) -> Iterator[str]:
    """The dotted keys of all numbers in nested dicts and lists."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from numbers(value, f"{key}.{name}" if key else name)
    elif isinstance(node, list):
        yield from dict.fromkeys(each for value in node for each in numbers(value, key))
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        yield key


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_number_in_conf_has_limits_and_is_within_them(path: Path):
    text = path.read_text(encoding="utf-8")
    is_global = path.parent == CONF or text.startswith("# @package _global_")
    content = yaml.safe_load(text)
    found = list(numbers(content, "" if is_global else path.parent.name))
    assert [key for key in found if key not in RANGES] == []
    for key in found:
        value: Any = {path.parent.name: content} if not is_global else content
        for part in key.split("."):
            value = value[part]
        assert out_of_range(key, value) is None
