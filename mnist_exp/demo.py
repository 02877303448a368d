"""Draw a digit, or drop a photo of one, on a page in the browser, and see what each model makes of it.

python -m mnist_exp.demo ckpt_path=outputs/runs/.../checkpoints/best.ckpt      (several side by side: ckpt_path=[a,b])
"""

import contextlib
from typing import TYPE_CHECKING

from mnist_exp.cli.command import command
from mnist_exp.models.checkpoint_paths import checkpoint_paths

if TYPE_CHECKING:
    from omegaconf import DictConfig


def demo(cfg: "DictConfig") -> None:
    """Serve the page until Ctrl+C. Raises ValueError or OSError for settings or files that cannot be used."""
    paths = checkpoint_paths(cfg.ckpt_path)
    try:
        from mnist_exp.web.connection import listen, make_server
        from mnist_exp.web.server import make_app
        from mnist_exp.web.shown_models import show_models
    except ModuleNotFoundError as error:
        raise ValueError(f"the demo needs more packages ({error}): pip install starlette uvicorn h11") from error

    # Listen before the models are loaded: a port in use is reported at once. A browser that connects early waits.
    with contextlib.suppress(KeyboardInterrupt), listen(cfg.host, cfg.port) as socket:
        from mnist_exp.cli.threads import set_threads
        from mnist_exp.data.named_sets import NAMED_SETS, dataset_of
        from mnist_exp.models.checkpoint import load_classifier

        set_threads(cfg.threads)
        loaded = {path: load_classifier(path, cfg.network) for path in paths}
        models = show_models(loaded, classes=lambda config: NAMED_SETS[dataset_of(config)].classes)
        host, port = socket.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        print(f"{', '.join(one.label for one in models)}: draw at {url} (Ctrl+C ends it)", flush=True)
        app = make_app(models, min_confidence=cfg.min_confidence, hosts=[cfg.host, *cfg.hosts])
        make_server(app).run(sockets=[socket])


@command("demo")
def main(cfg: "DictConfig") -> None:
    demo(cfg)


if __name__ == "__main__":
    main()
