import json
from pathlib import Path

import pytest

from mnist_exp.result import Stopwatch, environment, read_result, whole_file, write_json


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "result.json"
    write_json(path, {"status": "finished"})
    with pytest.raises(TypeError, match="serializable"):
        write_json(path, {"status": object()})
    with pytest.raises(OSError, match="disk full"), whole_file(path) as partial:
        leave_half(partial)
    assert json.loads(path.read_text()) == {"status": "finished"}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def leave_half(path: Path) -> None:
    path.write_text("half")
    raise OSError("disk full")


def test_a_folder_without_a_result_has_none(tmp_path: Path):
    assert read_result(tmp_path) is None


def test_phases_are_timed_apart_and_also_when_they_fail():
    seconds = Stopwatch()
    with seconds("setup"):
        pass
    with pytest.raises(ZeroDivisionError), seconds("fit"):
        _ = 1 / 0
    assert set(seconds.seconds) == {"setup", "fit"}


def test_the_environment_names_versions_and_source():
    assert environment("cpu").keys() >= {"python", "torch", "lightning", "device", "commit", "dirty"}
