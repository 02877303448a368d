"""MNIST from images and from CSV: one classifier, two data modules, and experiments that answer questions.

From Python:

    import mnist_exp

    run = mnist_exp.run("data=csv", "trainer.max_epochs=1")  # trains, tests, and leaves a run folder
    print(run.test_acc)
    print(run.history)                                       # a DataFrame with a row for each epoch
    model = run.load()                                       # the run's best weights
    print(model.predict(images))                             # images: uint8 (N, 28, 28), white on black

`evaluation`, `predictions` and `comparison` do what the commands evaluate, predict and compare do. `compose` gives the
configuration of a run, to be changed before `run` takes it. `load` reads any checkpoint. `mnist_exp.train.train(cfg)`
trains without writing result.json. `data.image_datamodule.ImageDataModule`, `data.csv_datamodule.CSVDataModule` and
`models.classifier.DigitClassifier` work with a Trainer of your own, too.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_exp.python_api import Comparison, Run, comparison, compose, evaluation, load, predictions, run

__all__ = ["Comparison", "Run", "comparison", "compose", "evaluation", "load", "predictions", "run"]


def __getattr__(name: str) -> Any:
    """Torch and Lightning are imported when a function is first used: `mnist-exp --help` stays quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mnist_exp import python_api

    return getattr(python_api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
