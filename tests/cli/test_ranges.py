import pytest

from mnist_exp.cli.ranges import ABOVE_ZERO, AUTO_OR_BOOL, BATCHES, RANGES, SHARE, Range, at_least, one_of, out_of_range


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (at_least(1), [1, 2], [0, 1.0, True, "1", None]),
        (at_least(0), [0, 1], [-1, False]),
        (one_of("auto", "32"), ["auto", 32, "32"], ["32.0", "aut", None]),
        (ABOVE_ZERO, [1, 1e-9], [0, 0.0, -1, True, "1"]),
        (SHARE, [0, 0.0, 0.999], [1, 1.0, -0.001, False, None]),
        (BATCHES, [None, 0, 1, 2, 0.0, 0.5, 1.0], [-1, -0.1, 1.1, True, "1"]),
        (AUTO_OR_BOOL, ["auto", True, False], [1, 0, "true", None]),
    ],
)
def test_a_range_ends_where_it_says(range_: Range, inside: list, outside: list):
    assert [value for value in inside if value not in range_] == []
    assert [value for value in outside if value in range_] == []


def test_a_range_says_what_it_is():
    assert repr(at_least(1)) == "<Range: a whole number of at least 1>"
    assert repr(RANGES["data.placement"]) == "<Range: one of: auto, device, host>"


def test_a_value_out_of_range_gets_a_sentence_and_a_typo_a_suggestion():
    assert out_of_range("data.batch_size", 0) == "data.batch_size is a whole number of at least 1, not 0"
    assert out_of_range("data.placement", "hots") == (
        "data.placement is one of: auto, device, host, not 'hots': did you mean 'host'?"
    )


def test_a_value_in_range_and_a_key_without_a_range_pass():
    assert out_of_range("data.batch_size", 1) is None
    assert out_of_range("name", -1) is None
