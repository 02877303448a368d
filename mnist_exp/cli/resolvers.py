"""What `${sweep_name:...}`, `${fast_precision:}` and `${not_in_folder_names:}` in conf/ stand for."""

from omegaconf import OmegaConf

from mnist_exp.recipe import NOT_IN_FOLDER_NAMES


def sweep_name(study: str | None, overrides: list[str]) -> str:
    """The folder of a sweep: its study's name, or else what it sets, such as `data+data.batch_size`."""
    keys = (override.split("=", 1)[0].lstrip("+~") for override in overrides)
    return study or "+".join(key.replace("/", ".") for key in keys) or "default"


def fast_precision() -> str:
    """bf16-mixed where the GPU, or else the processor, computes in bfloat16 by itself; 32-true elsewhere."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)
OmegaConf.register_new_resolver("not_in_folder_names", lambda: list(NOT_IN_FOLDER_NAMES), replace=True)
