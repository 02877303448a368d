"""What Lightning says that is no news to a user: left out by name, nothing wider."""

import logging
import warnings

NO_NEWS = (
    "Tip: ",  # adverts
    "TPU available",
    "`Trainer.fit` stopped: `max_epochs=",  # the closing line says how far it went
)
NO_WARNING = (
    ".*LeafSpec.*deprecated",  # Lightning 2.6 calls what torch 2.15 renamed
    ".*does not have many workers.*",  # whole batches are cut from memory: a worker would only slow it down
    ".*(Skipping val loop|Total length of `list` across ranks is zero)",  # data.val_size=0 asked for it
    "Checkpoint directory .* exists and is not empty",  # a job of a sweep, run again
)


def quiet() -> None:
    for pattern in NO_WARNING:
        warnings.filterwarnings("ignore", message=pattern)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, News) for each in handler.filters):
            handler.addFilter(News())


class News(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in NO_NEWS)
