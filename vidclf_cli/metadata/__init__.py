"""Text about a video: sidecars, container tags, file names."""

from vidclf_cli.metadata.collect import collect_text
from vidclf_cli.metadata.sidecars import Sidecars
from vidclf_cli.metadata.text import MetadataText

__all__ = ["MetadataText", "Sidecars", "collect_text"]
