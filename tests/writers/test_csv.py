import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vidclf_cli.errors import Code, Reason
from vidclf_cli.records import Evidence, LabelScore, Prediction, Result, Status, Video
from vidclf_cli.writers.csv import CsvWriter
from vidclf_cli.writers.row import COLUMNS, to_row

HEADER = (
    "path,label,confidence,status,reason,alternatives,evidence,modalities,duration_seconds,"
    "segment_start_seconds,segment_end_seconds,model"
)


def make_result(name: str = "a.mp4", label: str = "Sports") -> Result:
    return Result(
        video=Video(name, Path("/a.mp4"), Path("/"), 1, 2, 3),
        status=Status.OK,
        prediction=Prediction(
            labels=(label,),
            confidence=0.912345,
            alternatives=(LabelScore("Games", 0.05),),
            evidence=(Evidence("visual", 'football "helmet"', 0.5),),
        ),
        modalities=("visual", "metadata"),
        duration_seconds=12.34567,
        model="topics-10@0123456789ab",
    )


def _read(*results: Result) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    writer = CsvWriter(stream)
    for result in results:
        writer.write(to_row(result))
    stream.seek(0)
    return list(csv.DictReader(stream))


def test_the_columns_are_the_documented_ones_in_their_order() -> None:
    assert ",".join(COLUMNS) == HEADER


def test_an_ok_row() -> None:
    row = _read(make_result())[0]
    assert row["path"] == "a.mp4"
    assert row["label"] == "Sports"
    assert row["confidence"] == "0.9123"
    assert row["status"] == "ok"
    assert row["reason"] == ""
    assert json.loads(row["alternatives"]) == [{"label": "Games", "confidence": 0.05}]
    assert json.loads(row["evidence"]) == [{"source": "visual", "what": 'football "helmet"', "weight": 0.5}]
    assert json.loads(row["modalities"]) == ["visual", "metadata"]
    assert row["duration_seconds"] == "12.346"
    assert row["segment_start_seconds"] == row["segment_end_seconds"] == ""


def test_a_failed_row_says_code_and_text() -> None:
    video = make_result().video
    row = _read(Result(video, Status.FAILED, Reason(Code.DAMAGED, "damaged after 3 frames")))[0]
    assert row["status"] == "failed"
    assert row["reason"] == "damaged: damaged after 3 frames"
    assert row["label"] == row["confidence"] == row["duration_seconds"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    row = _read(make_result(f"{start}cmd|' /C calc'!A0.mp4", f"{start}1+1"))[0]
    assert row["path"].startswith(f"'{start}")
    assert row["label"].startswith(f"'{start}")


@example(name="a\rb.mp4")
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_name_comes_back_from_the_file(name: str) -> None:
    path = _read(make_result(name))[0]["path"]
    assert path in (name, f"'{name}")
