"""A run that goes on with other settings says so."""

import logging

import pytest

from mnist_exp.training.resuming import other_settings, warn_of_other_settings

EARLIER = {
    "seed": 0,
    "data": {"name": "csv", "batch_size": 64},
    "trainer": {"max_epochs": 3, "accelerator": "cpu"},
    "run_dir": "there",
}


def test_other_settings_are_named_with_their_earlier_value(caplog: pytest.LogCaptureFixture):
    now = EARLIER | {"data": {"name": "image", "batch_size": 64, "folder": None}}
    assert other_settings(EARLIER, now) == ["data.name=image (was csv)", "data.folder=null (was (none))"]
    with caplog.at_level(logging.WARNING):
        warn_of_other_settings(EARLIER, now)
    assert "data.name=image (was csv), data.folder=null (was (none))" in caplog.text


def test_how_long_and_where_may_change_without_a_word(caplog: pytest.LogCaptureFixture):
    now = EARLIER | {"trainer": {"max_epochs": 9, "accelerator": "gpu"}, "run_dir": "here"}
    warn_of_other_settings(EARLIER, now)
    assert not caplog.records


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, " and 1 more"), (12, " and 4 more")])
def test_many_settings_are_not_all_named(count: int, more: str, caplog: pytest.LogCaptureFixture):
    warn_of_other_settings(
        {"model": {f"key{i}": 0 for i in range(count)}}, {"model": {f"key{i}": 1 for i in range(count)}}
    )
    [record] = caplog.records
    assert record.getMessage().endswith(f"model.key7=1 (was 0){more}")
