"""What `${folder_name:...}`, `${sweep_folder:...}`, `${job_folder:...}` and `${fast_precision:}` in conf/ stand for."""

from omegaconf import OmegaConf

from mnist_exp.cli.folder_names import folder_name, job_folder, sweep_folder
from mnist_exp.files import default_data_dir


def fast_precision() -> str:
    """`bf16-mixed` if the GPU, or else the processor, computes in bfloat16 itself; otherwise `32-true`."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    # torch 2.11, the oldest that we support, may not have get_capabilities yet: float32 is right everywhere.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16-mixed" if capabilities.get("avx512_bf16") else "32-true"


OmegaConf.register_new_resolver("data_folder", default_data_dir, replace=True)
OmegaConf.register_new_resolver("folder_name", lambda name: folder_name(str(name)), replace=True)
OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True)
OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
OmegaConf.register_new_resolver("fast_precision", fast_precision, replace=True)
