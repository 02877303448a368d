"""Undo a setting of Lightning that makes training slower."""

import os


def unset_nvml_check() -> None:
    """Take back an environment variable that Lightning sets: with it, torch looks for a GPU by loading NVML.

    That takes 0.2 ms, and Adam looks before every step. It is meant for processes that fork afterwards; ours do not.
    """
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
