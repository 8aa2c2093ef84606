import io
import json

from tests.writers.test_csv import make_result
from vidclf_cli.errors import Code, Reason
from vidclf_cli.records import Result, Status
from vidclf_cli.writers.jsonl import JsonlWriter
from vidclf_cli.writers.row import COLUMNS, to_row


def test_a_line_has_the_columns_of_the_csv_with_their_types() -> None:
    stream = io.StringIO()
    writer = JsonlWriter(stream)
    writer.write(to_row(make_result("=a\nb.mp4")))
    failure = Result(make_result().video, Status.FAILED, Reason(Code.EMPTY_FILE, "the file is empty"))
    writer.write(to_row(failure))
    ok, failed = map(json.loads, stream.getvalue().splitlines())
    assert tuple(ok) == COLUMNS
    assert ok["path"] == "=a\nb.mp4", "nothing is quoted where nothing is run"
    assert ok["confidence"] == 0.9123
    assert ok["modalities"] == ["visual", "metadata"]
    assert ok["segment_start_seconds"] is None
    assert failed["confidence"] is None
    assert failed["reason"] == "empty-file: the file is empty"
