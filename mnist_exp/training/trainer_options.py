"""An option of Lightning's Trainer that needs more than the Trainer."""

from omegaconf import DictConfig, OmegaConf


def without_overfit_batches(cfg: DictConfig) -> DictConfig:
    """The configuration with what `trainer.overfit_batches` means instead of it.

    It limits training and validation to the same number of batches, always the same ones. Lightning itself would put
    a sampler of its own in place of ours, which yields whole batches.
    """
    batches = cfg.trainer.get("overfit_batches")
    if not batches:
        return cfg
    limits = {"overfit_batches": 0, "limit_train_batches": batches, "limit_val_batches": batches}
    return OmegaConf.merge(cfg, {"data": {"shuffle": False}, "trainer": limits})  # type: ignore[return-value]
