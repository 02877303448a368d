"""What `${sweep_name:...}`, `${fast_precision:}` and `${not_in_folder_names:}` in conf/ stand for."""

from omegaconf import OmegaConf

from mnist_exp.files import default_data_dir
from mnist_exp.recipe import NOT_IN_FOLDER_NAMES


def sweep_name(study: str | None, overrides: list[str]) -> str:
    """The name of a sweep's folder: its study, or else the keys that it sets, such as `data+data.batch_size`."""
    keys = (override.split("=", 1)[0].lstrip("+~") for override in overrides)
    return study or "+".join(key.replace("/", ".") for key in keys) or "default"


def fast_precision() -> str:
    """`bf16-mixed` if the GPU, or else the processor, computes in bfloat16 itself; otherwise `32-true`."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    # torch 2.11, the oldest that we support, may not have get_capabilities yet: float32 is right everywhere.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16-mixed" if capabilities.get("avx512_bf16") else "32-true"


OmegaConf.register_new_resolver("data_folder", default_data_dir, replace=True)
OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)
OmegaConf.register_new_resolver("not_in_folder_names", lambda: list(NOT_IN_FOLDER_NAMES), replace=True)
