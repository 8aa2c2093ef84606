import pytest

from vidclf_cli.errors import UsageError
from vidclf_cli.writers import choose_format


@pytest.mark.parametrize(
    ("target", "chosen", "expected"),
    [
        ("a.csv", None, "csv"),
        ("a.JSONL", None, "jsonl"),
        ("a.ndjson", None, "jsonl"),
        ("-", None, "csv"),
        ("a.txt", "jsonl", "jsonl"),
    ],
)
def test_the_format_follows_the_suffix_unless_one_is_given(
    target: str, chosen: str | None, expected: str
) -> None:
    assert choose_format(target, chosen) == expected


def test_an_unknown_suffix_asks_for_a_format() -> None:
    with pytest.raises(UsageError, match="--format"):
        choose_format("labels.xlsx", None)
