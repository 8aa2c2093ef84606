"""Any ONNX image encoder as an embedding space of vidclf: `onnx/<name>@<revision>/visual`."""

from vidclf_cli.embedders.base import EmbedderOptions, SampleEmbedder
from vidclf_onnx_embedder.embedder import OnnxEmbedder
from vidclf_onnx_embedder.settings import find_settings

__all__ = ["create"]


def create(options: EmbedderOptions) -> SampleEmbedder:
    """Make the embedder: what the entry point names. Reads the TOML file; the network is loaded when needed.

    Raises:
        UsageError: There is no TOML file, or it is wrong.
    """
    return OnnxEmbedder(find_settings(), options)
