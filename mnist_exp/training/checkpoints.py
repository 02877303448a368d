"""When a checkpoint is written, and which one is tested.

conf/callbacks/default.yaml asks for two files: best.ckpt of the epoch with the best validation accuracy, and last.ckpt
after every epoch.
"""

import logging
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from mnist_exp.models.checkpoint_file import read_checkpoint

logger = logging.getLogger(__name__)


class RunCheckpoint(ModelCheckpoint):
    """Writes `filename`.ckpt at the end of an epoch: of the best by `monitor`, or of the latest where that is None.

    Best and last are two callbacks, because ModelCheckpoint's own `save_last` writes only when there is a new best.
    Without validation nothing can be monitored, and the latest epoch is written.

    options: those of ModelCheckpoint, such as `every_n_epochs=5`. Two have another default here, False:
        `enable_version_counter`, so that a file is overwritten, and `auto_insert_metric_name`, which would put a "="
        into the file's name. `{epoch}` in `filename` counts from 0.

    Raises ValueError where `save_top_k` keeps several files, and all would have one name.
    """

    def __init__(
        self, dirpath: str, *, filename: str, monitor: str | None = None, mode: str = "max", **options: Any
    ) -> None:
        save_top_k = options.get("save_top_k", 1)
        if save_top_k not in (0, 1) and "{" not in filename:
            raise ValueError(
                f"save_top_k={save_top_k} keeps several checkpoints, and the name {filename!r} is that of one: "
                f"add the epoch, as in filename='{filename}-{{epoch}}'"
            )
        options = {"enable_version_counter": False, "auto_insert_metric_name": False} | options
        super().__init__(dirpath=dirpath, filename=filename, monitor=monitor, mode=mode, **options)

    @property
    def state_key(self) -> str:
        """Where a checkpoint holds the state of this callback. By default best and last could share one place."""
        return f"{type(self).__qualname__}{{'filename': {self.filename!r}}}"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not (len(trainer.datamodule.val_indices) and trainer.limit_val_batches):  # type: ignore[attr-defined]
            self.monitor = None
            self.save_top_k = min(self.save_top_k, 1)
        if self.monitor is None:  # Lightning would wait for a validation
            self._save_on_train_epoch_end = True
        super().setup(trainer, pl_module, stage)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy the resumed run's checkpoints to the folder of this one, so that its best still competes."""
        if self.dirpath and state_dict.get("dirpath") != str(self.dirpath):
            state_dict = self._moved_here(state_dict)
        super().load_state_dict(state_dict)

    def _moved_here(self, state: dict[str, Any]) -> dict[str, Any]:
        folder = Path(self.dirpath or "")
        scores = state["best_k_models"]
        paths = {state["best_model_path"], *scores} - {""}
        copies = {path: str(folder / Path(path).name) for path in paths if Path(path).is_file()}
        for path in sorted(paths - copies.keys()):
            logger.warning("%s is missing: the best checkpoint is chosen from the others and the epochs to come", path)
        for path, copy in copies.items():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        return {
            **state,
            "dirpath": self.dirpath,
            "best_model_path": copies.get(state["best_model_path"], ""),
            "kth_best_model_path": copies.get(state["kth_best_model_path"], ""),
            "best_k_models": {copies[path]: score for path, score in scores.items() if path in copies},
            "last_model_path": "",
        }


class ChosenWeights(NamedTuple):
    """epoch: counted from 1, None for the last. metrics: those of the validation that chose the weights."""

    epoch: int | None
    metrics: dict[str, float]


def load_best_weights(model: LightningModule, checkpoint: ModelCheckpoint | None) -> ChosenWeights:
    """Load the weights that `checkpoint` chose, and say in the log where these are only the last ones.

    Where it wrote nothing, the model keeps its weights. Only weights are loaded: with the trainer's `ckpt_path=` the
    callbacks, and so the history, would go back to that epoch, too.
    """
    if checkpoint is None or not checkpoint.best_model_path:
        reason = "no validation has chosen a best epoch" if checkpoint else "there is no callbacks.best"
        logger.info("%s: the last weights are tested", reason)
        return ChosenWeights(None, {})
    if checkpoint.monitor is None:
        logger.info("no validation chooses among the epochs: the last weights are tested")
    content = read_checkpoint(Path(checkpoint.best_model_path))  # after a resume it can be a copy of another file
    model.load_state_dict(content["state_dict"])
    return ChosenWeights(content["epoch"] + 1, content.get("metrics", {}))
