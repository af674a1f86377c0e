"""A scene as MP4 (H.264) or WebM (VP9)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from renderer.kinds.scene.media import THREADS, memory_errors, open_container
from renderer.kinds.scene.paint import Painter
from renderer.output import Output

# x264 keeps the frames it looks ahead at, refers to and reorders. Measured: 1280 x 720 encodes within 190 MB,
# 1920 x 1080 within 350 MB, 3840 x 2160 within 450 MB (550 MB if it may reorder).
_SMALL_PIXELS = 1920 * 1200
_SMALL = "rc-lookahead=20"
_LARGE = "rc-lookahead=4:bframes=0:ref=1"
_BT709 = 1  # the number of BT.709 in H.273, the standard that both formats take their colour tags from
_CHROMA = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one format is encoded."""

    content_type: str
    codec: str
    container: str
    container_options: dict[str, str]
    codec_options: dict[str, str]


def mp4(level: int, pixels: int) -> Encoding:
    """Return H.264 for a quality of 1 to 100 (60 is CRF 23, 90 about 16) and frames of so many pixels."""
    preset = "ultrafast" if level < 20 else "veryfast" if level < 80 else "fast"  # noqa: PLR2004
    options = {
        "preset": preset,
        "crf": f"{max(10.0, 37 - level * 0.235):.1f}",
        # The same bytes on processors of other generations.
        "x264-params": f"cpu-independent=1:{_SMALL if pixels <= _SMALL_PIXELS else _LARGE}",
    }
    return Encoding("video/mp4", "libx264", "mp4", {"movflags": "+faststart"}, options)


def webm(level: int) -> Encoding:
    """Return VP9 for a quality of 1 to 100."""
    options = {
        "deadline": "realtime",
        "cpu-used": "8",
        "crf": str(round(52 - level * 0.35)),
        "b": "0",
        "lag-in-frames": "0",
        "row-mt": "0",
    }
    return Encoding("video/webm", "libvpx-vp9", "webm", {}, options)


def write_video(painter: Painter, encoding: Encoding, rate: Fraction, count: int, out: Output) -> None:
    """Encode `count` frames, frame i at i / rate seconds."""
    height, width, _ = painter.pixels.shape
    out.content_type = encoding.content_type
    converter = VideoReformatter()
    picture = av.VideoFrame.from_numpy_buffer(painter.pixels, format="rgba")
    with memory_errors(), open_container(out, encoding.container, encoding.container_options) as container:
        stream = container.add_stream(encoding.codec, rate=rate, options=encoding.codec_options)
        assert isinstance(stream, av.VideoStream)  # noqa: S101 - for the type checker: the codec is a video codec
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = 1 / rate
        context = stream.codec_context
        context.thread_count = THREADS
        context.time_base = 1 / rate
        context.colorspace = context.color_trc = context.color_primaries = _BT709
        context.color_range = ColorRange.MPEG
        frame = None
        for index in range(count):
            if painter.draw(float(index / rate)) or frame is None:
                frame = _convert(converter, picture)
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
            out.progress((index + 1) / count)
        container.mux(stream.encode(None))


def _convert(converter: VideoReformatter, picture: av.VideoFrame) -> av.VideoFrame:
    """Return the picture as BT.709 video, in limited range, and say so on the frame."""
    frame = converter.reformat(
        picture,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_CHROMA,
        threads=THREADS,
    )
    frame.color_trc, frame.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
    return frame
