"""Classes of the user's own, and the errors of classes."""

import logging

import pytest
from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.instantiation import instantiate, without_leftovers


class Own:
    def __init__(self, *, lr: float) -> None:
        self.lr = lr


def takes_all(**arguments: float) -> dict[str, float]:
    return arguments


HERE = f"{__name__}."


def config(target: str, **more: object) -> DictConfig:
    adam = {"_target_": target, "_partial_": True, "lr": 0.1, "betas": [0.9, 0.99], "fused": True}
    return OmegaConf.create({"optimizer": adam | more, "model": {"optimizer": "${optimizer}"}})


@pytest.mark.parametrize(
    ("target", "overrides", "kept", "named"),
    [
        ("torch.optim.NAdam", ["optimizer._target_=torch.optim.NAdam"], ["lr", "betas"], "fused"),
        ("torch.optim.SGD", ["optimizer={_target_:torch.optim.SGD,lr:0.1}"], ["lr", "fused"], "betas"),
        (f"{HERE}Own", [f"optimizer._target_={HERE}Own"], ["lr"], "betas, fused"),
        (f"{HERE}Own", [f"optimizer._target_={HERE}Own", "optimizer.fused=true"], ["lr", "fused"], "betas"),
        (f"{HERE}Own", [f"optimizer={{_target_:{HERE}Own,betas:[1]}}"], ["lr", "betas"], "fused"),
        (f"{HERE}takes_all", [f"optimizer._target_={HERE}takes_all"], ["lr", "betas", "fused"], None),
        ("no.such.Class", ["optimizer._target_=no.such.Class"], ["lr", "betas", "fused"], None),
        ("torch.optim.Adam", ["optimizer.lr=0.1", "seed=1", "~callbacks.best"], ["lr", "betas", "fused"], None),
    ],
)
def test_a_class_from_the_command_line_gets_no_arguments_of_the_one_it_replaces(
    caplog: pytest.LogCaptureFixture,
    target: str,
    overrides: list[str],
    kept: list[str],
    named: str | None,
):
    cfg = config(target)
    with caplog.at_level(logging.INFO):
        found = without_leftovers(cfg, overrides)
    assert list(found.optimizer) == ["_target_", "_partial_", *kept]
    assert found.model.optimizer == found.optimizer
    assert cfg == config(target), "the caller's configuration stays as it is"
    assert caplog.messages == ([f"{target} has no {named}: left out of optimizer"] if named else [])


def test_without_overrides_nothing_is_left_out():
    assert without_leftovers(config("torch.optim.NAdam"), []) == config("torch.optim.NAdam")


def fails(error: str) -> None:
    raise {"value": ValueError, "type": TypeError, "run": RuntimeError}[error](f"{error} is wrong")


@pytest.mark.parametrize(
    ("node", "kind", "message"),
    [
        ({"_target_": f"{HERE}fails", "error": "value"}, ValueError, "^value is wrong$"),
        ({"_target_": f"{HERE}fails", "error": "run"}, RuntimeError, "^run is wrong$"),
        ({"_target_": f"{HERE}fails", "error": "type"}, ValueError, "^part.inner cannot be made: type is wrong$"),
        ({"_target_": "no_such.Class"}, ValueError, "^part.inner cannot be made: Error loading 'no_such.Class'"),
        ({"_target_": f"{HERE}Own", "rate": 1}, ValueError, "^part.inner cannot be made: .*argument 'rate'$"),
    ],
)
def test_an_error_of_a_class_is_shown_as_it_is(node: dict, kind: type[Exception], message: str):
    cfg = OmegaConf.create({"part": {"inner": node}})
    with pytest.raises(kind, match=message):
        instantiate(cfg.part)


def test_what_is_right_is_made():
    assert instantiate(OmegaConf.create({"_target_": f"{HERE}Own"}), lr=0.5).lr == 0.5
