"""The embedders that work offline: EfficientNet-lite0, all-MiniLM-L6-v2, and a log-mel spectrogram."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.embedders.mel import BAND_COUNT, log_mel
from vidclf_cli.errors import EncoderError, UsageError
from vidclf_cli.media.types import Frame, Sample, SampleRequest
from vidclf_cli.runtime import CUDA_ADVICE, CUDA_PROVIDER, Device, choose_device, open_session, provider_of
from vidclf_cli.shipped import encoder_file
from vidclf_cli.spaces import Embedding, Space

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_LITE0 = "local/efficientnet-lite0@1"
_MINILM = "local/all-minilm-l6-v2@1"
_LOGMEL = "local/logmel@1"

CONCEPT_COUNT = 1000
CROP = 224
"""Side of the centre crop: 0.875 of the frames' short side of 256."""

# Speed is flat from 4 frames on; on the CPU every frame more only costs memory.
_CPU_BATCH, _CUDA_BATCH = 8, 64

_TOKEN_LIMIT = 256  # What the text encoder was trained with; the rest of a longer text is not read.
_BATCH_TOKENS = 2048
# Peak below -80 dB of full scale: a sound track that holds nothing, as screen recorders write it.
_SILENCE = 1e-4


@cache
def concept_names() -> tuple[str, ...]:
    """Return the names of the 1,000 concepts in the order of the `local/concepts` space.

    Raises:
        EncoderError: The shipped list is missing or altered.
    """
    return tuple(encoder_file("imagenet_classes.txt").read_text(encoding="utf-8").splitlines())


class LocalVisual:
    """EfficientNet-lite0 on frames: the `local/visual` and `local/concepts` spaces in one pass.

    int8 on the CPU, fp32 on CUDA. Both fill the same space: see the card beside the encoders for how close
    they are.

    Args:
        frame_count: Up to this many frames are asked for per video.
        device: Where to run; None chooses.
        thread_count: Threads of one pass, 0 for one per core.
    """

    def __init__(self, frame_count: int = 8, device: Device | None = None, thread_count: int = 0) -> None:
        self._frame_count = frame_count
        self._wanted_device = device
        self._thread_count = thread_count
        sampling = f"frames-{frame_count}"
        self._visual = Space(f"{_LITE0}/visual", "local/visual", "visual", 1280, sampling)
        self._concepts = Space(f"{_LITE0}/concepts", "local/concepts", "visual", CONCEPT_COUNT, sampling)

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The pooled features and the concepts."""
        return (self._visual, self._concepts)

    @property
    def request(self) -> SampleRequest:
        """Frames only."""
        return SampleRequest(frame_count=self._frame_count)

    @property
    def device(self) -> Device:
        """Where the encoder really runs, and why; opens it.

        Raises:
            EncoderError: The encoder is missing, altered or cannot be loaded.
            UsageError: CUDA was asked for and cannot be started.
        """
        return self._opened[1]

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what the encoder really runs on; opens it."""
        return provider_of(self._opened[0])

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        """Embed videos by the mean over their frames; one without frames gets nothing.

        Raises:
            EncoderError: The encoder is missing, altered or cannot be loaded.
            UsageError: CUDA was asked for and cannot be started.
        """
        counts = [len(sample.frames) for sample in samples]
        if sum(counts) == 0:
            return [{} for _ in samples]
        features, probabilities = self._encode([crop(frame) for sample in samples for frame in sample.frames])
        ends = np.cumsum(counts)
        results = []
        for count, end in zip(counts, ends, strict=True):
            rows = slice(end - count, end)
            results.append(
                {
                    self._visual.id: Embedding(features[rows].mean(axis=0), count),
                    self._concepts.id: Embedding(probabilities[rows].mean(axis=0), count),
                }
                if count
                else {}
            )
        return results

    def _encode(self, frames: list[Frame]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        session, device = self._opened
        size = _CUDA_BATCH if device.name == "cuda" else _CPU_BATCH
        batches = (np.stack(frames[start : start + size]) for start in range(0, len(frames), size))
        outputs = [session.run(["features", "probabilities"], {"frames": batch}) for batch in batches]
        return np.concatenate([each[0] for each in outputs]), np.concatenate([each[1] for each in outputs])

    @cached_property
    def _opened(self) -> tuple[InferenceSession, Device]:
        device = self._wanted_device or choose_device()
        if device.name == "cuda":
            session = open_session(encoder_file("efficientnet-lite0.fp32.onnx"), device, self._thread_count)
            if provider_of(session) == CUDA_PROVIDER:
                return session, device
            problem = "CUDA cannot be started (its libraries are missing or do not fit the driver)"
            if device.required:
                raise UsageError(f"{problem}.", CUDA_ADVICE)
            device = Device("cpu", problem)
        return open_session(encoder_file("efficientnet-lite0.int8.onnx"), device, self._thread_count), device


def crop(frame: Frame) -> Frame:
    """Cut the centre 224 x 224 pixels out of a frame of at least that size."""
    height, width = frame.shape[:2]
    top, left = (height - CROP) // 2, (width - CROP) // 2
    return frame[top : top + CROP, left : left + CROP]


class LocalAudio:
    """Mean and deviation over time of a log-mel spectrogram: the `local/audio` space, no weights.

    A video without sound has no vector in this space, and nor has one whose sound is digital silence or
    shorter than 0.1 s: a vector of silence would say as much about every topic.

    Args:
        audio_seconds: Up to this much sound is asked for per video.
    """

    def __init__(self, audio_seconds: float = 20.0) -> None:
        self._audio_seconds = audio_seconds
        self._space = Space(
            f"{_LOGMEL}/audio", "local/audio", "audio", 2 * BAND_COUNT, f"windows-{audio_seconds:g}s"
        )

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The one space."""
        return (self._space,)

    @property
    def request(self) -> SampleRequest:
        """Sound only."""
        return SampleRequest(frame_count=0, audio_seconds=self._audio_seconds)

    def embed(self, samples: Sequence[Sample]) -> list[dict[str, Embedding]]:
        """Embed the sound of videos; `unit_count` is whole seconds, at least 1."""
        return [self._embed_one(sample.waveform) for sample in samples]

    def _embed_one(self, waveform: NDArray[np.float32] | None) -> dict[str, Embedding]:
        if waveform is None or waveform.size < 1600 or float(np.abs(waveform).max()) < _SILENCE:
            return {}
        bands = log_mel(waveform)
        vector = np.concatenate([bands.mean(axis=0), bands.std(axis=0)])
        return {self._space.id: Embedding(vector, max(1, waveform.size // 16_000))}


class LocalMetadata:
    """all-MiniLM-L6-v2 on text: the `local/metadata` space. Runs in int8 on the CPU, whatever the device.

    A text has one vector, whatever is embedded beside it: the int8 graph scales each token by itself.

    Args:
        thread_count: Threads of one pass, 0 for one per core.
    """

    def __init__(self, thread_count: int = 0) -> None:
        self._thread_count = thread_count

    @property
    def space(self) -> Space:
        """The one space."""
        return Space(f"{_MINILM}/metadata", "local/metadata", "metadata", 384)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed non-empty texts, of which the first 256 tokens count.

        Returns:
            Shape (len(texts), 384), unit length.

        Raises:
            EncoderError: The encoder is missing, altered or cannot be loaded.
        """
        vectors = np.empty((len(texts), self.space.dimension), np.float32)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for rows in _batches_by_length([len(ids) for ids in tokens]):
            vectors[rows] = self._session.run(None, pad_tokens([tokens[row] for row in rows]))[0]
        return vectors

    @cached_property
    def _session(self) -> InferenceSession:
        return open_session(encoder_file("all-minilm-l6-v2.int8.onnx"), _TEXT_DEVICE, self._thread_count)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        # Its threads do not survive a fork, and it prints a warning when one happens; it needs none.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        path = encoder_file("all-minilm-l6-v2.tokenizer.json")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # The library raises bare Exception.
            raise EncoderError(f"{path} cannot be loaded ({error}).", "Install vidclf again.") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(_TOKEN_LIMIT)
        return tokenizer


def pad_tokens(tokens: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of the text encoder: token ids and mask, shape (texts, longest text)."""
    input_ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, ids in enumerate(tokens):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


_TEXT_DEVICE = Device("cpu", "texts are short")


def _batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the indices of all texts in batches of similar length and at most 2,048 tokens with padding."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if batch and (len(batch) + 1) * lengths[row] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
