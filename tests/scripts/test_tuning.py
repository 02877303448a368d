"""scripts/tuning.py: python -m pytest tests/scripts/test_tuning.py -v"""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from made_runs import make_run, write_result


@pytest.fixture
def script(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    from scripts import tuning

    return tuning


def tried(sweep: Path, optimizer: str, lr: str, accuracy: float, *, seed: int = 0) -> None:
    overrides = [f"optimizer={optimizer}", f"optimizer.lr={lr}", f"seed={seed}"]
    make_run(sweep / "-".join([optimizer, lr, str(seed)]), *overrides, seed=seed, metrics={"val/acc": accuracy})


def test_the_first_seed_chooses_the_value_with_the_best_validation_accuracy(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for lr, accuracy in (("0.1", 0.95), ("0.01", 0.9), ("1", 0.2)):
        tried(tmp_path, "sgd", lr, accuracy)
    tried(tmp_path, "sgd", "1", 0.99, seed=1)  # of another seed
    for lr, accuracy in (("0.001", 0.9), ("0.01", 0.9)):
        tried(tmp_path, "adam", lr, accuracy)
    monkeypatch.setattr(sys, "argv", ["tuning", str(tmp_path), "optimizer.lr", "optimizer"])
    script.main()
    output = capsys.readouterr()
    assert output.out == "optimizer=adam optimizer.lr=0.001\noptimizer=sgd optimizer.lr=0.1\n"
    assert output.err == (
        "warning: optimizer=adam optimizer.lr=0.001: the best value is the first or last that was tried\n"
    )


def test_a_value_that_diverged_is_beyond_the_edge(script: ModuleType, tmp_path: Path):
    tried(tmp_path, "sgd", "0.1", 0.9)
    tried(tmp_path, "sgd", "0.3", 0.95)
    failed = ["optimizer=sgd", "optimizer.lr=1", "seed=0"]
    write_result(tmp_path / "c", {"status": "failed", "seed": 0, "overrides": failed, "config": {}})
    (tmp_path / "multirun.yaml").touch()
    (best,) = script.best_values(
        script.ended_runs(tmp_path, ["optimizer", "optimizer.lr"]), "optimizer.lr", ["optimizer"]
    ).to_dict("records")
    assert best == {"optimizer": "sgd", "optimizer.lr": "0.3", "at_the_edge": False}
