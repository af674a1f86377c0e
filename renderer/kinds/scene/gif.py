"""A scene as an animated GIF that loops for ever."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.filter
from av.video.format import VideoFormat

from renderer.kinds.scene.media import THREADS, memory_errors, open_container
from renderer.kinds.scene.paint import Painter
from renderer.output import Output

# A GIF counts hundredths of a second, and browsers slow down what is shown for less than two of them.
_TICK = Fraction(1, 100)
_MAX_RATE = Fraction(50)
_SAMPLES = 24


def write_gif(painter: Painter, rate: Fraction, seconds: float, out: Output) -> None:
    """Encode a scene of `seconds`; at most 50 frames a second are drawn. Memory does not grow with the length.

    Two passes: the first draws a sample of the frames for the palette, the second draws and encodes them all.
    """
    rate = min(rate, _MAX_RATE)
    count = max(1, round(seconds * rate))
    ticks = [round(index / rate / _TICK) for index in range(count)]
    ticks.append(max(ticks[-1] + 2, round(seconds / _TICK)))
    height, width, _ = painter.pixels.shape
    out.content_type = "image/gif"
    with memory_errors():
        palette = _palette(painter, [float(index / rate) for index in _sample(count)])
        graph = _colour_graph(width, height, palette)
        last = ticks[count] - ticks[count - 1]
        options = {"loop": "0", "final_delay": str(last)}
        with open_container(out, "gif", options) as container:
            stream = container.add_stream("gif", rate=100)
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for the type checker: gif is a video codec
            stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
            stream.codec_context.thread_count = THREADS
            stream.time_base = stream.codec_context.time_base = _TICK
            for index in range(count):
                # A frame that looks as the one before lets that one stand longer. Not the last: its delay ends the GIF.
                if painter.draw(float(index / rate)) or index in {0, count - 1}:
                    graph.push(_frame(painter, ticks[index]), at=0)
                    container.mux([packet for frame in _ready(graph) for packet in stream.encode(frame)])
                out.progress((index + 1) / count)
            graph.push(None, at=0)
            container.mux([packet for frame in _ready(graph) for packet in stream.encode(frame)])
            container.mux(stream.encode(None))


def _sample(count: int) -> list[int]:
    """Return the numbers of the frames that the palette is made from, spread evenly over the scene."""
    wanted = min(count, _SAMPLES)
    return [index * count // wanted for index in range(wanted)]


def _frame(painter: Painter, tick: int) -> av.VideoFrame:
    # A copy: a filter may keep a frame while the next one is drawn.
    frame = av.VideoFrame.from_ndarray(painter.pixels, format="rgba")
    frame.pts, frame.time_base = tick, _TICK
    return frame


def _source(graph: av.filter.Graph, width: int, height: int) -> av.filter.FilterContext:
    return graph.add_buffer(width=width, height=height, format=VideoFormat("rgba"), time_base=_TICK)


def _palette(painter: Painter, times: list[float]) -> av.VideoFrame:
    """Return the 256 colours that suit the moments `times` best, as a picture of 16 x 16."""
    height, width, _ = painter.pixels.shape
    graph = av.filter.Graph()
    graph.threads = THREADS
    graph.link_nodes(
        _source(graph, width, height),
        graph.add("format", "rgb32"),
        graph.add("palettegen", "stats_mode=full"),
        graph.add("buffersink"),
    ).configure()
    for tick, time in enumerate(times):
        painter.draw(time)
        graph.push(_frame(painter, tick))
    graph.push(None)
    return graph.vpull()


def _colour_graph(width: int, height: int, palette: av.VideoFrame) -> av.filter.Graph:
    """Return the filter that gives each pixel a colour of the palette; its input 0 takes the frames."""
    graph = av.filter.Graph()
    graph.threads = THREADS
    frames = _source(graph, width, height)
    colours = graph.add_buffer(
        width=palette.width, height=palette.height, format=palette.format, time_base=palette.time_base or _TICK
    )
    use, sink = graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle"), graph.add("buffersink")
    frames.link_to(use, 0, 0)
    colours.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    palette.pts = 0
    graph.push(palette, at=1)
    graph.push(None, at=1)
    return graph


def _ready(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
