"""From a decoded frame to the picture that an encoder sees: scaled, upright, RGB; and is it blank?"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.media.probe import clockwise_quarter
from vidclf_cli.media.types import FRAME_SHORT_SIDE, Frame

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MAX_ASPECT = 4
"""A picture is cut to this ratio of its sides, around the centre: no encoder sees more of it."""

_SCALED_LONG_SIDE = 8192
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_PQ = 16  # AVCOL_TRC_SMPTE2084
_WHITE_NITS = 203  # of graphics and paper in HDR video, ITU-R BT.2408
_HD_HEIGHT = 577  # without a word about its matrix, a picture above 576 lines is taken for BT.709


class FrameScaler:
    """Scales decoded frames; keeps swscale's tables between frames of one size.

    Args:
        pixel_aspect: Width of a pixel over its height.
        short_side: Of the pictures, in pixels.
    """

    def __init__(self, pixel_aspect: float, short_side: int = FRAME_SHORT_SIDE) -> None:
        from av.video.reformatter import VideoReformatter

        self._pixel_aspect = pixel_aspect
        self._short_side = short_side
        self._reformatter = VideoReformatter()

    def picture(self, frame: VideoFrame) -> Frame:
        """Return the upright RGB picture, contiguous.

        Raises:
            av.error.FFmpegError: The pixel format cannot be converted.
        """
        width, height = _target_size(frame.width * self._pixel_aspect, float(frame.height), self._short_side)
        rgb = self._scale(frame, width, height)
        if frame.color_trc == _PQ:
            rgb = _pq_table()[rgb]
        rgb = _cut(rgb, frame.width * self._pixel_aspect, float(frame.height), self._short_side)
        turns = -clockwise_quarter(frame.rotation) // 90
        return np.ascontiguousarray(np.rot90(rgb, turns) if turns else rgb)

    def _scale(self, frame: VideoFrame, width: int, height: int) -> Frame:
        from av.error import FFmpegError
        from av.video.reformatter import Interpolation

        try:
            scaled = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="rgb24",
                src_colorspace=_matrix(frame),
                interpolation=Interpolation.AREA,
                threads=1,
            )
        except (FFmpegError, ValueError):
            # An unknown matrix or transfer is refused by newer swscale: fall back on the default one.
            scaled = frame.reformat(
                width=width, height=height, format="rgb24", src_colorspace="ITU601", threads=1
            )
        return np.asarray(scaled.to_ndarray(), dtype=np.uint8)


def is_blank(picture: Frame) -> bool:
    """Tell a black or nearly uniform picture, which says nothing, from one with content."""
    points = picture[::8, ::8].astype(np.int16)
    if np.percentile(points, 99) < 36:  # black in the limited range, with noise
        return True
    return float(points.reshape(-1, 3).std(axis=0).max()) < 4.0


@functools.cache
def _pq_table() -> NDArray[np.uint8]:
    """Map PQ codes of 8 bits to those of a common screen, shape (256,).

    Shown as they are, HDR10 pictures are grey in grey: their codes reach up to 10,000 nits. (HLG was made
    to be shown as it is.) SMPTE ST 2084's curve back to light, Reinhard's
    extended curve (2002) to roll the highlights off, then gamma 2.2.
    """
    code = np.linspace(0, 1, 256) ** (32 / 2523)
    light = (np.maximum(code - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * code)) ** (16384 / 2610)
    white = light * 10_000 / _WHITE_NITS
    shown = np.clip(white * (1 + white / 24) / (1 + white), 0, 1) ** (1 / 2.2)  # 1,000 nits become white
    return np.round(255 * shown).astype(np.uint8)


def _matrix(frame: VideoFrame) -> int | None:
    from av.video.reformatter import Colorspace

    if frame.format.is_rgb or frame.colorspace != _UNSPECIFIED:
        return None
    return int(Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601)


def _target_size(width: float, height: float, short_side: int) -> tuple[int, int]:
    scale = short_side / min(width, height)
    return (
        min(_SCALED_LONG_SIDE, max(short_side, round(width * scale))),
        min(_SCALED_LONG_SIDE, max(short_side, round(height * scale))),
    )


def _cut(rgb: Frame, width: float, height: float, short_side: int) -> Frame:
    """Cut the long side to `MAX_ASPECT` times the short one, at the centre."""
    aspect = max(width, height) / min(width, height)
    if aspect <= MAX_ASPECT:
        return rgb
    axis = 1 if width > height else 0
    length = rgb.shape[axis]
    kept = length * MAX_ASPECT / aspect
    wanted = short_side * MAX_ASPECT
    # Beyond 32:1 the long side was squeezed to 8192: picking pixels undoes that.
    at = (length - kept) / 2 + (np.arange(wanted) + 0.5) * kept / wanted
    cut: Frame = np.take(rgb, np.clip(at.astype(np.intp), 0, length - 1), axis=axis)
    return cut
