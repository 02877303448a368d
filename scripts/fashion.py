"""Collects the runs of `bash scripts/reproduce.sh fashion` in docs/data/fashion.csv.

python -m scripts.fashion outputs/sweeps/fashion
"""

import hashlib
import sys
from pathlib import Path

import pandas as pd

from mnist_exp.files import write_text
from mnist_exp.models.checkpoint_file import read_checkpoint
from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.result import RunResult

DATA = Path(__file__).parents[1] / "docs" / "data"
OPTIMIZERS = {"torch.optim.SGD": "sgd", "torch.optim.Adam": "adam"}


def collect(sweep: Path) -> pd.DataFrame:
    """A row for each finished run and each of its milestones, with `test_accuracy` after it.

    weights: the beginning of the SHA-256 of the weights after the last epoch.
    """
    rows = []
    for path in sorted(sweep.glob("*/result.json")):
        result = RunResult.read(path.parent)
        if result is None or result.status != "finished":
            print(f"{path.parent} is not finished and is left out: start its sweep again", file=sys.stderr)
            continue
        config, environment = result.config, result.environment
        rows += [
            {
                "data": config["data"]["name"],
                "model": config["model"]["name"],
                "optimizer": OPTIMIZERS[config["optimizer"]["_target_"]],
                "lr": config["optimizer"]["lr"],
                "epochs": each["epoch"],
                "seed": result.seed,
                "test_accuracy": round(each["test/acc"], 6),
                "weights": sha256_of_weights(path.parent / LAST) if each["epoch"] == len(result.history) else "",
                "fingerprint": result.data["fingerprint"],
                "commit": f"{environment['commit'][:10]}{'+changes' if environment['dirty'] else ''}",
            }
            for each in result.milestones
        ]
    return pd.DataFrame(rows).sort_values(["model", "optimizer", "lr", "epochs", "data", "seed"])


def sha256_of_weights(checkpoint: Path) -> str:
    digest = hashlib.sha256()
    for name, weights in read_checkpoint(checkpoint)["state_dict"].items():
        digest.update(name.encode())
        digest.update(weights.contiguous().numpy().data)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    write_text(DATA / "fashion.csv", collect(Path(sys.argv[1])).to_csv(index=False, lineterminator="\n"))
