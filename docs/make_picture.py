"""Draw docs/labels.jpg, frames of the example library with their rows.

python docs/make_picture.py demo/videos demo/labels.csv
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vidclf_cli.media.sample import read_sample
from vidclf_cli.media.types import SampleRequest

TARGET = Path(__file__).with_name("labels.jpg")
_COLUMNS, _WIDTH, _HEIGHT, _CAPTION, _GAP = 3, 400, 225, 86, 16
# The motorcycle's picture has no stated licence: it is not passed on.
_LEFT_OUT = {"workshop.mp4", "highlights.mp4"}
_COLOURS = {"ok": "#1a7f37", "unknown": "#9a6700", "failed": "#cf222e"}


def draw(folder: Path, rows: list[dict[str, str]]) -> Image.Image:
    """Return a contact sheet: frame, name, label with confidence, evidence or reason."""
    lines = -(-len(rows) // _COLUMNS)
    size = (_GAP + _COLUMNS * (_WIDTH + _GAP), _GAP + lines * (_HEIGHT + _CAPTION + _GAP))
    sheet = Image.new("RGB", size, "white")
    for place, row in enumerate(rows):
        line, column = divmod(place, _COLUMNS)
        corner = (_GAP + column * (_WIDTH + _GAP), _GAP + line * (_HEIGHT + _CAPTION + _GAP))
        sheet.paste(_tile(folder, row), corner)
    return sheet


def _tile(folder: Path, row: dict[str, str]) -> Image.Image:
    tile = Image.new("RGB", (_WIDTH, _HEIGHT + _CAPTION), "#f6f8fa")
    if row["status"] != "failed":
        sample = read_sample(folder / row["path"], SampleRequest(3))
        frame = Image.fromarray(sample.frames[len(sample.frames) // 2])
        frame.thumbnail((_WIDTH, _HEIGHT))
        tile.paste(frame, ((_WIDTH - frame.width) // 2, (_HEIGHT - frame.height) // 2))
    pen = ImageDraw.Draw(tile)
    label = row["label"] or row["status"]
    confidence = f"  {float(row['confidence']):.2f}" if row["confidence"] else ""
    pen.text((10, _HEIGHT + 6), row["path"], "#57606a", _font(15))
    pen.text((10, _HEIGHT + 28), label + confidence, _COLOURS[row["status"]], _font(20))
    evidence = ", ".join(f"{item['what']} {item['weight']:.2f}" for item in json.loads(row["evidence"])[:3])
    pen.text((10, _HEIGHT + 58), (row["reason"] or evidence)[:58], "#57606a", _font(14))
    return tile


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    with Path(sys.argv[2]).open(encoding="utf-8", newline="") as stream:
        shown = [row for row in csv.DictReader(stream) if row["path"] not in _LEFT_OUT]
    draw(Path(sys.argv[1]), shown).save(TARGET, quality=85, optimize=True)
