"""scripts/bench/: how it takes turns, when a target is met, and what it writes.

python -m pytest tests/scripts/test_bench.py -v
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from mnist_exp.cli.overrides import CONF

MACHINE = {"date": "2026-01-31 12:00", "cpu": "A CPU", "cores": 2, "gpu": None, "threads": 2}
MACHINE |= {"torch": "2.15.0", "commit": "0123456789abcdef", "dirty": True}


@pytest.fixture(autouse=True)
def importable(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    from scripts.bench import __main__ as bench

    monkeypatch.setattr(bench, "machine", lambda: MACHINE)
    return bench


@pytest.fixture
def cfg(tmp_path: Path) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("bench", [f"output_dir={tmp_path}", "threads=1"])


def test_contenders_take_turns_after_a_warm_up():
    from scripts.bench.measure import interleave

    calls: list[tuple[str, int]] = []
    turns = {name: lambda number, name=name: calls.append((name, number)) or number for name in "ab"}
    assert interleave(turns, 3) == {"a": [0, 1, 2], "b": [0, 1, 2]}
    assert calls == [("a", 0), ("b", 0), *((name, number) for number in range(3) for name in "ab")]


def test_a_slow_contender_takes_part_in_the_first_rounds_only():
    from scripts.bench.measure import interleave

    calls: list[str] = []
    turns = {name: lambda _, name=name: calls.append(name) for name in "ab"}
    interleave(turns, 3, fewer={"b": 1})
    assert calls == ["a", "a", "b", "a", "a"]


@pytest.mark.parametrize(("target", "met"), [(0.5, True), (0.4, False), (None, None)])
def test_a_target_is_the_most_that_a_ratio_may_be(target: float | None, met: bool | None):
    from scripts.bench.measure import ratio, row

    ours, theirs = [1.0, 9.0, 1.0], [2.0, 2.0, 0.1]
    found = row("loop", "an epoch", "theirs", theirs, ratio=ratio(ours, theirs), target=target)
    assert (found.n, found.median, found.low, found.high) == (3, 2.0, 0.1, 2.0)
    assert (found.ratio, found.met) == (0.5, met)


def test_without_a_ratio_the_target_is_of_the_median():
    from scripts.bench.measure import row

    assert row("csv", "peak", "ours", [100, 140, 900], target=150).met
    assert not row("csv", "peak", "ours", [100, 160, 900], target=150).met


def test_two_loops_over_the_same_batches_differ_by_nothing():
    from scripts.bench.training import difference_row

    one, other = [{"acc": 0.974}, {"acc": 0.971}], [{"acc": 0.974}, {"acc": 0.972}]
    assert difference_row("mlp 64", one, one).met
    assert difference_row("mlp 64", one, other).high == pytest.approx(0.1)
    assert not difference_row("mlp 64", one[1:], other[1:]).met


def test_the_goal_is_reached_at_the_first_epoch_whose_mean_is_high_enough():
    from scripts.bench.training import Reached

    runs = [
        [{"seconds": epoch, "acc": acc} for epoch, acc in enumerate(accs, 1)]
        for accs in ([0.98, 0.991, 1], [0.98, 0.99, 1])
    ]
    found = Reached.by(runs)
    assert (found.goal, found.epoch, found.seconds) == (True, 2, [2, 2])
    assert not Reached.by([run[:1] for run in runs]).goal


def test_seconds_without_the_accuracy_meet_no_target():
    from scripts.bench.training import goal_rows

    seconds, fit, error = goal_rows("gpu", [[{"seconds": 0.1, "fit": 0.2, "acc": 0.985}]], target=0.3)
    assert (seconds.met, fit.met, error.met) == (False, None, False)
    assert "not reached: 98.50%" in seconds.note


def test_memory_and_time_may_grow_only_as_they_should():
    from scripts.bench.processes import growth_rows

    results = {"1x": [{"seconds": 1.0, "mb": 50.0}], "20x": [{"seconds": 26.0, "mb": 79.0}]}
    _, _, seconds, peak = growth_rows("preparing", results, [1, 20], note="")
    assert (seconds.ratio, seconds.target, seconds.met) == (26.0, 25.0, False)
    assert (peak.target, peak.met) == (80.0, True)


def test_a_file_is_repeated_without_its_header(tmp_path: Path):
    from scripts.bench.processes import repeat_rows

    path = tmp_path / "small.csv"
    path.write_bytes(b"label,1x1\n1,2\n3,4\n")
    assert repeat_rows(path, 2, tmp_path).read_bytes() == b"label,1x1\n" + 2 * b"1,2\n3,4\n"


def test_a_reader_is_measured_over_its_start():
    from scripts.bench.fresh_process import measure_call

    found = measure_call(lambda: b"x" * 50_000_000)
    assert found["mb"] == pytest.approx(50, abs=15)
    assert found["seconds"] > 0


def test_sections_are_chosen_in_their_own_order(bench: ModuleType):
    assert bench.select_sections(None) == list(bench.SECTIONS)
    assert bench.select_sections("csv") == ["csv"]
    assert bench.select_sections(["csv", "loop"]) == ["loop", "csv"]


def test_an_unknown_section_is_named_beside_those_there_are(bench: ModuleType):
    with pytest.raises(
        ValueError, match=r"no section 'lop': did you mean 'loop'\?.*one or more of: loop, stock, to_99"
    ):
        bench.select_sections(["csv", "lop"])


def test_a_failed_section_does_not_stop_the_others(
    bench: ModuleType, cfg: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from scripts.bench.measure import row

    def broken(_: Any) -> Iterator[Any]:
        yield row("broken", "before", "ours", [1.0])
        raise RuntimeError("no room left")

    def sound(_: Any) -> Iterator[Any]:
        yield row("sound", "after", "ours", [2.0])

    monkeypatch.setattr(bench, "SECTIONS", {"broken": broken, "sound": sound})
    report = bench.bench(cfg)
    assert [found.section for found in report.rows] == ["broken", "sound"]
    assert report.failed == {"broken": "RuntimeError: no room left"}

    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["rows"][1]["median"] == 2.0
    assert "**broken failed**: RuntimeError: no room left" in path.with_suffix(".md").read_text()


def test_the_table_says_where_and_whether_targets_are_met(bench: ModuleType):
    from scripts.bench.measure import row

    met = row("loop", "mlp 64", "bare loop", [2.0, 4.0, 3.0], ratio=1.2, target=1.25, note="a | b")
    report = bench.Report(MACHINE, {}, [met, replace(met, met=False)], seconds={"loop": 12.3})
    lines = bench.markdown(report).splitlines()
    assert lines[0] == "2026-01-31 12:00: A CPU, 2 cores, no GPU, 2 threads, torch 2.15.0, commit 0123456789 (dirty)."
    assert lines[-2] == "| loop | mlp 64 | bare loop | 3 | 3 s | 2 to 4 | 1.200 | <= 1.25 | met | a / b |"
    assert "| **missed** |" in lines[-1]
    assert len({text.count("|") for text in lines[3:]}) == 1


def test_what_is_not_there_is_skipped_with_a_word(bench: ModuleType):
    from scripts.bench.measure import row

    assert bench.row_cells(row("csv", "cold", "polars", [], note="skipped")) == [
        "csv",
        "cold",
        "polars",
        "0",
        *[""] * 5,
        "skipped",
    ]


def test_a_process_that_fails_says_why():
    from scripts.bench.measure import run_python

    with pytest.raises(RuntimeError, match="status 1: ZeroDivisionError"):
        run_python("-c", "1 / 0", threads=None)
