"""Messages and warnings of Lightning that tell a user of this project nothing: hidden by name, and no others."""

import logging
import warnings

HIDDEN_MESSAGES = (
    "Tip: ",  # advertisements
    "TPU available",
    "You are using a CUDA device",  # advises a lower precision: trainer.precision decides that here
    "`Trainer.fit` stopped: `max_epochs=",  # the run's last log line says how many epochs it took
)
HIDDEN_WARNINGS = (
    ".*LeafSpec.*deprecated",  # Lightning 2.6 uses a name that torch 2.15 changed
    "GPU available but not used",  # wanted: trainer=cpu
    ".*does not have many workers.*",  # batches are cut from memory: a worker would only slow it down
    ".*(Skipping val loop|Total length of `list` across ranks is zero)",  # wanted: data.val_size=0
    "You're resuming from a checkpoint that ended before the epoch",  # it takes blocks for steps; the model checks
    "Checkpoint directory .* exists and is not empty",  # wanted: a job of a sweep is run again
    "Experiment logs directory .* exists and is not empty",  # wanted: CSVLogger writes to the run folder
    r"`ModelCheckpoint\(monitor=.* could not find",  # no validation has run yet; after one, this is an error
)


def hide_messages() -> None:
    """Hide these messages and warnings from now on, in the handlers that the root logger and Lightning have now."""
    for pattern in HIDDEN_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)
    for handler in [*logging.getLogger().handlers, *logging.getLogger("pytorch_lightning").handlers]:
        if not any(isinstance(each, MessageFilter) for each in handler.filters):
            handler.addFilter(MessageFilter())


class MessageFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in HIDDEN_MESSAGES)
