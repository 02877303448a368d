"""The options of Lightning's Trainer that need more than the Trainer."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

# The model takes these and the Trainer the values here: the model itself makes the optimizer steps, and Lightning
# refuses to clip or accumulate gradients for such a model.
STEP_OPTIONS: dict[str, Any] = {
    "gradient_clip_val": None,
    "gradient_clip_algorithm": None,
    "accumulate_grad_batches": 1,
}


def without_overfit_batches(cfg: DictConfig) -> DictConfig:
    """The configuration in which `trainer.overfit_batches` is replaced by the settings that it stands for.

    It limits training and validation to the same number of batches, always the same ones. Lightning itself would put
    a sampler of its own in place of ours, which yields whole batches.
    """
    batches = cfg.trainer.get("overfit_batches")
    if not batches:
        return cfg
    limits = {"overfit_batches": 0, "limit_train_batches": batches, "limit_val_batches": batches}
    return OmegaConf.merge(cfg, {"data": {"shuffle": False}, "trainer": limits})  # type: ignore[return-value]
