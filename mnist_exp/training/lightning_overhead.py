"""What Lightning does around every batch and nothing here needs: left out, for small networks spend a fifth on it."""

import os
from contextlib import AbstractContextManager, nullcontext

from pytorch_lightning.profilers import PassThroughProfiler

NOTHING = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Measures nothing, and costs nothing: Lightning's own opens and closes a generator a hundred times a batch."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # noqa: ARG002
        return NOTHING


def ask_cuda_itself() -> None:
    """Adam asks before every step whether there is a GPU. Lightning has it ask by loading NVML, which takes 0.2 ms.

    That was meant for processes that fork after they asked, which ours do not.
    """
    os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
