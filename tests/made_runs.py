"""Run folders as `train` leaves them, with any figures that a test wants, and without training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

TARGETS = {
    "sgd": "torch.optim.SGD",
    "adam": "torch.optim.Adam",
    "image": "data.ImageDataModule",
    "csv": "data.CSVDataModule",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "image": {"folder": None},
    "csv": {"train_csv": None},
    "sgd": {"momentum": 0.0},
    "adam": {"betas": [0.9, 0.999]},
}
EXPERIMENTS = {
    "solution1": ["model=mlp", "optimizer=sgd", "model.standardize=false", "trainer.max_epochs=5"],
    "fast": ["model=fast", "optimizer.lr=0.03", "data.batch_size=256", "trainer.max_epochs=1"],
}
DEFAULTS = {"data": "image", "model": "cnn", "optimizer": "adam"}
TEST_IMAGES = 1000


def make_config(overrides: list[str], seed: int) -> dict[str, Any]:
    """A small resolved configuration, with what config groups, experiments and interpolations do to a real one."""
    typed = dict(each.split("=", 1) for each in overrides)
    experiment = typed.pop("experiment", None)
    typed = dict(each.split("=", 1) for each in EXPERIMENTS.get(experiment or "", [])) | typed
    data, model, optimizer = (typed.pop(group, DEFAULTS[group]) for group in ("data", "model", "optimizer"))
    config: dict[str, Any] = {
        "seed": seed,
        "name": experiment or f"{data}-{model}",
        "data": {"_target_": TARGETS[data], "name": data, "seed": seed, "batch_size": 64, **OPTIONS[data]},
        "optimizer": {"_target_": TARGETS[optimizer], "lr": 0.001, **OPTIONS[optimizer]},
        "model": {"name": model, "standardize": True, "net": {"_target_": f"nets.{model.upper()}"}},
        "trainer": {"max_epochs": 3},
        "scheduler": None,
        "milestones": [],
    }
    for key, value in typed.items():
        node = config
        for part in key.split(".")[:-1]:
            node = node[part]
        node[key.split(".")[-1]] = json.loads(value)
    config["model"]["optimizer"] = config["optimizer"]
    return config


def make_run(folder: Path, *overrides: str, acc: float = 0.9, seed: int = 0, **changes: Any) -> Path:
    """A finished run in `folder`; its predictions have exactly round(1000 * acc) right. changes: to result.json."""
    config = make_config(list(overrides), seed)
    history = [
        {
            "epoch": epoch,
            "val/acc": max(acc - 0.01 / epoch, 0.0),
            "val/loss": 0.3 / epoch,
            "train/loss": 0.5 / epoch,
            "seconds": 1.0,
        }
        for epoch in range(1, config["trainer"]["max_epochs"] + 1)
    ]
    result = {
        "status": "finished",
        "name": config["name"],
        "seed": seed,
        "overrides": [*overrides, f"seed={seed}"],
        "config": config,
        "data": {"name": config["data"]["name"], "fingerprint": "sha256:" + "a" * 64, "test": TEST_IMAGES},
        "epoch": len(history),
        "metrics": {"val/acc": history[-1]["val/acc"], "train/loss": 0.1, "test/loss": 1 - acc, "test/acc": acc},
        "history": history,
        "milestones": [],
        "seconds": {"fit": 10.0 + seed, "test": 0.5},
        "images_per_second": 5000.0,
        "environment": {"torch": "2.15.0", "lightning": "2.6.6", "device": "cpu", "commit": "c" * 40, "dirty": False},
    }
    write_result(folder, result | changes)
    write_predictions(folder, acc, seed)
    return folder


def make_failed_run(folder: Path, error: str = "it broke", seed: int = 0) -> Path:
    """What a run that raised an error leaves."""
    write_result(folder, {"status": "failed", "seed": seed, "overrides": [], "config": {}, "error": error})
    return folder


def make_factorial(folder: Path) -> None:
    """Two factors, three seeds: model adds 0.06, data nothing, both together 0.02 more; a little noise by seed."""
    for seed in (0, 1, 2):
        for data in (0, 1):
            for model in (0, 1):
                acc = 0.8 + 0.06 * model + 0.02 * data * model + 0.001 * seed * model
                names = f"data={('image', 'csv')[data]}", f"model={('mlp', 'cnn')[model]}"
                make_run(folder / f"{','.join(names)},seed={seed}", *names, acc=acc, seed=seed)


def make_two_groups(folder: Path) -> None:
    """Two groups of two seeds; of 6 images labelled 3, `csv` reads 5 and 4, `image` 3 and 3."""
    answers = {
        ("csv", 0): [3, 3, 3, 3, 3, 8],
        ("csv", 1): [3, 3, 3, 3, 5, 8],
        ("image", 0): [3, 3, 9, 8, 8, 3],
        ("image", 1): [3, 9, 9, 3, 8, 3],
    }
    for (data, seed), preds in answers.items():
        run = make_run(folder / f"{data}{seed}", f"data={data}", acc=preds.count(3) / 6, seed=seed)
        write_answers(run, [3] * 6, preds)


def write_result(folder: Path, result: dict[str, Any]) -> None:
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "config.yaml").touch()
    (folder / "result.json").write_text(json.dumps({"schema": 1, "name": "made"} | result))


def change_result(folder: Path, **changes: Any) -> None:
    """Replaces fields of a result.json that is there."""
    write_result(folder, json.loads((folder / "result.json").read_text()) | changes)


def write_predictions(folder: Path, acc: float, seed: int) -> None:
    """Labels 0 to 9 in turn; the images wrong are drawn by seed, their answers one too high."""
    labels = np.arange(TEST_IMAGES) % 10
    wrong = np.random.default_rng(seed).permutation(TEST_IMAGES)[: TEST_IMAGES - round(TEST_IMAGES * acc)]
    preds = labels.copy()
    preds[wrong] = (preds[wrong] + 1) % 10
    np.savez(folder / "predictions.npz", labels=labels, preds=preds)


def write_answers(folder: Path, labels: Any, preds: Any) -> None:
    """Replaces the predictions of a run."""
    np.savez(folder / "predictions.npz", labels=np.array(labels), preds=np.array(preds))
