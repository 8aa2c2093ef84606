"""What stands where rows are to go: only what `vidclf classify` wrote is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vidclf_cli.errors import UsageError
from vidclf_cli.writers.csv import read_csv_header
from vidclf_cli.writers.jsonl import read_jsonl_keys
from vidclf_cli.writers.output import STDOUT, check_writable, place_of
from vidclf_cli.writers.parquet import check_installed, read_parquet_columns
from vidclf_cli.writers.row import COLUMNS
from vidclf_cli.writers.sqlite import check_sqlite, is_database

_FILES_ONLY = ("parquet", "sqlite")
_COLUMNS_OF: Mapping[str, Callable[[Path], Sequence[str]]] = {
    "csv": read_csv_header,
    "jsonl": lambda path: sorted(read_jsonl_keys(path), key=_place_in_row),
    "parquet": read_parquet_columns,
}


def check_output(
    target: str,
    format_name: str,
    option: str = "--out",
    *,
    force: bool = False,
    is_ours: Callable[[Path], bool] | None = None,
) -> None:
    """Find out before a long run whether its rows can go where they are to go.

    Args:
        target: A path, or `-` for standard output.
        format_name: One of `FORMATS`, or a name that the caller gives to a text of its own.
        option: What the user gave the target with, for messages.
        force: What vidclf did not write may be replaced.
        is_ours: Tells whether a file holds such a text; None goes by the columns of the format.

    Raises:
        UsageError: The place cannot be written, holds something that vidclf did not write, is locked, or is
            none for this format; or what the format needs is not installed.
    """
    if format_name == "parquet":
        check_installed()
    check_writable(target, option)
    path = None if target == STDOUT else place_of(target, option)
    if path is None or (path.exists() and not path.is_file()):
        if format_name in _FILES_ONLY:
            raise UsageError(
                f"{format_name} cannot go to {'standard output' if path is None else path}.",
                f"Name a file with {option}, or write csv or jsonl.",
            )
        return
    try:
        if format_name == "sqlite" and (is_database(path) or not holds_something(path)):
            check_sqlite(path, option, force=force)
        elif holds_something(path) and not (force or (is_ours or _has_columns(format_name))(path)):
            raise _strange(path, format_name, option)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}).", f"Name another file with {option}."
        ) from error


def holds_something(path: Path) -> bool:
    """Tell whether there is a regular file that is not empty."""
    return path.is_file() and path.stat().st_size > 0


def holds_rows(path: Path, format_name: str) -> bool:
    """Tell whether there is a file of a format that vidclf wrote, or a database.

    Raises:
        OSError: It cannot be read.
    """
    if not holds_something(path):
        return False
    return is_database(path) if format_name == "sqlite" else _has_columns(format_name)(path)


def _has_columns(format_name: str) -> Callable[[Path], bool]:
    columns_of = _COLUMNS_OF.get(format_name)
    return lambda path: columns_of is not None and tuple(columns_of(path)) == COLUMNS


def _strange(path: Path, format_name: str, option: str) -> UsageError:
    return UsageError(
        f"{path} is there already, and it is no {format_name} file that vidclf classify wrote.",
        f"Name another file with {option}, or replace it with --force.",
    )


def _place_in_row(name: str) -> int:
    return COLUMNS.index(name) if name in COLUMNS else len(COLUMNS)
