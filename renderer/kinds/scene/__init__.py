"""Kind `scene`: objects and animations, to mp4, webm, gif or png.

skia draws (`paint`, `shapes`, `text`), PyAV encodes (`video`, `gif`, `media`). The models (`model`, `objects`,
`animation`, `config`) check everything, and bound everything, before a pixel is allocated.
"""

from __future__ import annotations

try:
    import skia  # noqa: F401 - the first import of it anywhere, so that its failure can be explained
except ImportError as error:
    raise ImportError(
        f"skia-python needs libraries of the system ({error}); install them: apt-get install libegl1 libgl1 libexpat1"
    ) from error

from renderer.errors import InvalidSpec
from renderer.kinds.scene.config import SceneConfig
from renderer.kinds.scene.gif import write_gif
from renderer.kinds.scene.model import SceneSpec
from renderer.kinds.scene.paint import Painter
from renderer.kinds.scene.still import write_png
from renderer.kinds.scene.video import mp4, webm, write_video
from renderer.output import Output
from renderer.registry import render_kind

__all__ = ["SceneConfig", "SceneSpec", "render"]


@render_kind(spec=SceneSpec, config=SceneConfig, reusable=True)
def render(spec: SceneSpec, config: SceneConfig, out: Output) -> None:
    """Draw a scene and write it to `out` in the format that the configuration names."""
    if config.time > spec.seconds:
        raise InvalidSpec(f"lies after the end of the scene, which lasts {spec.seconds:g} s", field="config.time")
    painter = Painter(spec, config.width, config.height, config.background_color)
    if config.format == "png":
        write_png(painter, config.time, out)
    elif config.format == "gif":
        write_gif(painter, config.rate, spec.seconds, out)
    else:
        encoding = mp4(config.level, config.width * config.height) if config.format == "mp4" else webm(config.level)
        count = max(1, round(spec.seconds * config.rate))
        write_video(painter, encoding, config.rate, count, out)
