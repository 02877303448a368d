"""scripts/broken_inputs.py: what it takes for a fault, and all its cases.

python -m pytest tests/scripts/test_broken_inputs.py -v
"""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

RIGHT = "error: no file a.csv: check the path\n"


@pytest.fixture
def script(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    from scripts import broken_inputs

    return broken_inputs


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"status": 0}, "exit status 0"),
        ({"status": -9}, "killed by signal 9"),
        ({"output": f"Traceback (most recent call last):\n{RIGHT}"}, "a traceback"),
        ({"output": RIGHT * 2}, "not one message"),
        ({"output": ""}, "not one message"),
        ({"output": "error: check the path\n"}, "does not name a.csv"),
        ({"output": "error: no file a.csv\n"}, "no remedy"),
        ({"seconds": 31.0}, "31 s"),
        ({"memory": 2_100_000_000}, "2.1 GB"),
    ],
)
def test_what_is_a_fault(script: ModuleType, changes: dict[str, object], fault: str | None):
    case = script.Case("csv: missing", "predict", ["images=a.csv"], "a.csv")
    outcome = script.Outcome(**{"status": 1, "output": RIGHT, "seconds": 1.0, "memory": 10**9, **changes})
    found = script.faults(case, outcome)
    assert found == [] if fault is None else fault in found


def test_one_broken_run_of_many_is_listed_and_the_others_are_compared(script: ModuleType):
    case = script.Case("a run of many", "compare", ["runs=a"], "a")
    assert script.faults(case, script.Outcome(0, "a: run it again", 1.0, 10**9)) == []


@pytest.mark.slow
def test_all_broken_inputs_end_as_they_should(pytestconfig: pytest.Config):
    script = Path(pytestconfig.rootpath) / "scripts" / "broken_inputs.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
