"""Where the time of a batch goes.

python -m mnist_exp.train debug=profile
"""

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.profiler import profile

from mnist_exp.files import write_text

logger = logging.getLogger(__name__)
OPERATIONS = 25  # rows of the table


class Profile(Callback):
    """Measures a few batches of the first epoch with torch.profiler, and writes two files to `dirpath`.

    profile.txt: a table of the operations, those that took longest first.
    trace.json: what ran when, to be opened in https://ui.perfetto.dev or chrome://tracing.

    skip: batches before the first that is measured: the very first ones are slow.
    batches: how many are measured. Where the epoch ends earlier, nothing is written.
    """

    def __init__(self, dirpath: str, *, skip: int = 10, batches: int = 20) -> None:
        self.dirpath = Path(dirpath)
        self.first, self.last = skip, skip + batches - 1

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        if trainer.current_epoch == 0 and batch_idx == self.first:
            # acc_events=True: without it torch 2.11 warns that a second measurement would replace the first.
            self.profile = profile(acc_events=True)
            self.profile.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        batch_idx = args[-1]
        if trainer.current_epoch == 0 and batch_idx == self.last:
            self.profile.stop()
            device = "cuda" if pl_module.device.type == "cuda" else "cpu"
            table = self.profile.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=OPERATIONS)
            write_text(self.dirpath / "profile.txt", table)
            self.profile.export_chrome_trace(str(self.dirpath / "trace.json"))
            logger.info("where the time went: profile.txt, and trace.json for https://ui.perfetto.dev")
