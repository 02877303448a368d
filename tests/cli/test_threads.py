from pathlib import Path

import pytest
import torch

from mnist_exp.cli import threads
from mnist_exp.cli.threads import allotted_processors, quota, set_threads


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight processors and no limit. Returns the folder for the limits of a container."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "CGROUP", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "expected"), [("max 100000\n", None), ("250000 100000\n", 2.5), ("50000 100000\n", 0.5), ("?", None)]
)
def test_the_share_of_a_container_is_read(machine: Path, content: str, expected: float | None):
    (machine / "cpu.max").write_text(content)
    assert quota() == expected


@pytest.mark.parametrize(("limit", "expected"), [("-1", None), ("400000", 4.0)])
def test_the_share_of_a_container_is_read_from_older_systems(machine: Path, limit: str, expected: float | None):
    (machine / "cpu").mkdir()
    (machine / "cpu" / "cpu.cfs_quota_us").write_text(f"{limit}\n")
    (machine / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert quota() == expected


def test_without_limits_all_usable_processors_count(monkeypatch: pytest.MonkeyPatch):
    assert quota() is None
    assert allotted_processors() == 8
    monkeypatch.delattr("os.sched_getaffinity")
    for counted, expected in ((4, 4), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda counted=counted: counted)
        assert allotted_processors() == expected


@pytest.mark.parametrize(
    ("chosen", "share", "torchs", "expected"),
    [
        (3, None, 16, 3),
        (None, None, 4, 4),
        (None, None, 16, 8),
        (None, 2.5, 16, 2),
        (None, 0.5, 16, 1),
        (3, 0.5, 16, 3),
    ],
)
def test_null_is_torchs_choice_within_what_is_allotted(
    monkeypatch: pytest.MonkeyPatch, chosen: int | None, share: float | None, torchs: int, expected: int
):
    found: list[int] = []
    monkeypatch.setattr(threads, "quota", lambda: share)
    monkeypatch.setattr(threads, "torchs_choice", lambda: torchs)
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    set_threads(chosen)
    assert found == [expected]
