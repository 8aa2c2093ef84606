"""Frames through an ONNX image encoder; a video's vector is the mean over its frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidclf_cli.embedders.base import (
    EmbedderOptions,
    Embedding,
    EncoderError,
    Frame,
    Sample,
    SampleRequest,
    Space,
)
from vidclf_onnx_embedder.settings import Settings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_BATCH = 8


class OnnxEmbedder:
    """A `SampleEmbedder` for one ONNX file.

    Args:
        settings: Which network, and how a frame becomes its input.
        options: What the user chose.
    """

    def __init__(self, settings: Settings, options: EmbedderOptions) -> None:
        self._settings = settings
        self._options = options
        self._space = Space(
            id=f"onnx/{settings.name}@{settings.revision()}/visual",
            alias=f"onnx/{settings.name}",
            modality="visual",
            dimension=settings.dimension,
        )

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The one space."""
        return (self._space,)

    @property
    def request(self) -> SampleRequest:
        """Frames only."""
        return SampleRequest(frame_count=self._options.frame_count)

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        """Embed videos; one without frames gets nothing.

        Raises:
            EncoderError: The network cannot be loaded, or is not what the settings say.
        """
        inputs = [self._input(frame) for sample in samples for frame in sample.frames]
        if not inputs:
            return [{} for _ in samples]
        vectors = self._run(np.stack(inputs))
        results, begin = [], 0
        for sample in samples:
            end = begin + len(sample.frames)
            found = {}
            if end > begin:
                mean = self._scaled(vectors[begin:end].mean(axis=0, keepdims=True))[0]
                found = {self._space.id: Embedding(mean, end - begin)}
            results.append(found)
            begin = end
        return results

    def _input(self, frame: Frame) -> NDArray[np.float32]:
        settings = self._settings
        height, width = frame.shape[:2]
        side = settings.crop * min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        # One step: the centre of the frame, scaled to the input's size.
        picture = Image.fromarray(frame).resize(
            (settings.size, settings.size), Image.Resampling.BICUBIC, (left, top, left + side, top + side)
        )
        values = np.asarray(picture, np.float32) / 255
        if settings.channels == "bgr":
            values = values[:, :, ::-1]
        values = (values - np.array(settings.mean, np.float32)) / np.array(settings.std, np.float32)
        values = values.transpose(2, 0, 1) if settings.layout == "nchw" else values
        return values.astype(np.float32)

    def _run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        session, name, size = self._opened
        outputs = [self._settings.output] if self._settings.output else [session.get_outputs()[0].name]
        # Some exporters fix how many frames there must be: blank ones fill up.
        filled = np.concatenate([inputs, np.zeros((-len(inputs) % size, *inputs.shape[1:]), np.float32)])
        starts = range(0, len(filled), size)
        parts = [session.run(outputs, {name: filled[start : start + size]})[0] for start in starts]
        vectors = np.concatenate(parts)[: len(inputs)].astype(np.float32)
        vectors = vectors.reshape(len(inputs), -1)  # (n, dimension, 1, 1) is common, too
        if vectors.shape[1] != self._settings.dimension:
            raise self._refusal(f"its output has {vectors.shape[1]} numbers, not {self._settings.dimension}")
        return self._scaled(vectors)

    def _scaled(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._settings.unit_length:
            return vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)

    @cached_property
    def _opened(self) -> tuple[InferenceSession, str, int]:
        """The session, the name of its input, and how many frames it takes at a time."""
        import onnxruntime  # noqa: PLC0415 - loaded when the first video needs it, not to list the space

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._options.thread_count
        providers = ["CUDAExecutionProvider"] if self._options.device == "cuda" else []
        try:
            session = onnxruntime.InferenceSession(
                str(self._settings.file), options, providers=[*providers, "CPUExecutionProvider"]
            )
        except Exception as error:
            raise self._refusal(f"ONNX Runtime does not load it ({error})") from error
        inputs = {each.name: each for each in session.get_inputs()}
        name = self._settings.input or next(iter(inputs))
        outputs = [each.name for each in session.get_outputs()]
        if name not in inputs or (not self._settings.input and len(inputs) > 1):
            raise self._refusal(f"its inputs are {', '.join(inputs)}; say which as `input`")
        if self._settings.output and self._settings.output not in outputs:
            raise self._refusal(f"its outputs are {', '.join(outputs)}")
        batch = inputs[name].shape[0]
        return session, name, batch if isinstance(batch, int) else _BATCH

    def _refusal(self, problem: str) -> EncoderError:
        return EncoderError(
            f"{self._settings.file} cannot be used: {problem}.", "Correct the TOML file, or export it again."
        )
