import pytest

from mnist_exp.cli.ranges import (
    ABOVE_ZERO,
    AUTO_OR_BOOL,
    BATCHES,
    DEVICES,
    RANGES,
    SHARE,
    THREADS,
    Range,
    between,
    one_of,
    out_of_range,
    too_many_processes,
)


@pytest.mark.parametrize(
    ("range_", "inside", "outside"),
    [
        (between(1, 3), [1, 2, 3], [0, 4, 10**20, 1.0, True, "1", None]),
        (between(0, 1), [0, 1], [-1, False]),
        (THREADS, [None, 1, 1024], [0, 1025, True, 1.5]),
        (DEVICES, ["auto", -1, 1, 16, [0], [0, 3]], [0, 17, -2, True, 1.0, [], [True], ["a"], [0] * 17, "many", None]),
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


def test_the_processor_gets_at_most_a_process_for_each_core_and_two_in_any_case(monkeypatch: pytest.MonkeyPatch):
    for cores, most in ((8, 8), (1, 2), (None, 2)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert too_many_processes("cpu", most) is None
        assert too_many_processes("cpu", most + 1) == (
            f"trainer.devices is at most {most} on this machine's processor (a process for each core), not {most + 1}"
        )
        for accelerator, devices in (("gpu", 9), ("auto", 9), ("cpu", "auto"), ("cpu", [0] * 9), (None, None)):
            assert too_many_processes(accelerator, devices) is None
