from pathlib import Path

from tests.media.real_videos import table


def test_the_documented_table_of_outcomes_is_the_tested_one() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
    assert table() in page.read_text(encoding="utf-8"), "write tests.media.real_videos.table() into it"
