"""Draw a digit, or drop a photo of one, on a page in the browser, and see what each model makes of it.

python -m mnist_exp.demo ckpt_path=outputs/runs/.../checkpoints/best.ckpt      (several side by side: ckpt_path=[a,b])
"""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_exp.cli.command import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def demo(cfg: "DictConfig") -> None:
    """Serves the page until Ctrl+C. Raises ValueError or OSError for what cannot be used."""
    if not cfg.ckpt_path:
        raise ValueError("ckpt_path=... is needed: a checkpoint, such as outputs/runs/.../checkpoints/best.ckpt")
    try:
        import uvicorn

        from mnist_exp.web.server import listen, make_app, name_models
    except ModuleNotFoundError as error:
        raise ValueError(f"the demo needs its extra ({error}): uv pip install -e '.[demo]'") from error

    # Listening comes first: what fails soonest. A browser that asks meanwhile waits.
    with contextlib.suppress(KeyboardInterrupt), listen(cfg.host, cfg.port) as socket:
        import torch

        from mnist_exp.models.checkpoint import load_classifier

        torch.set_num_threads(cfg.threads)
        paths = [cfg.ckpt_path] if isinstance(cfg.ckpt_path, str) else cfg.ckpt_path
        models = name_models({path: load_classifier(path, cfg.network) for path in map(Path, paths)})
        host, port = socket.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        print(f"{', '.join(models)}: draw at {url} (Ctrl+C ends it)", flush=True)
        uvicorn.Server(uvicorn.Config(make_app(models), log_level="warning")).run(sockets=[socket])


@command("demo")
def main(cfg: "DictConfig") -> None:
    demo(cfg)


if __name__ == "__main__":
    main()
