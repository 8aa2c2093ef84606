import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.writers.output import check_writable, open_output


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    with open_output(str(target)) as stream:
        stream.write("a\n")
        stream.flush()
        assert not target.exists()
    assert target.read_bytes() == b"a\n"
    assert [file.name for file in tmp_path.iterdir()] == ["labels.csv"]


def test_after_an_error_nothing_is_left_and_an_older_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), open_output(str(target)) as stream:
        stream.write("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["labels.csv"]


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    target.write_text("old")
    target.chmod(0o640)
    with open_output(str(target)) as stream:
        stream.write("new")
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    with pytest.raises(OutputError, match="free space"), open_output(str(target)) as stream:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, stream.fileno())
        os.close(full)
        stream.write("x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_the_block_is_not_taken_for_one_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_output(str(tmp_path / "labels.csv")):
        (tmp_path / "missing").read_bytes()


@pytest.mark.parametrize("target", [".", "no/such/folder/labels.csv"])
def test_a_place_that_cannot_be_written_is_found_out_before_the_run(tmp_path: Path, target: str) -> None:
    with pytest.raises(UsageError, match="--out"):
        check_writable(str(tmp_path / target))


def test_standard_output_gets_utf8_and_plain_line_ends_whatever_the_console_speaks() -> None:
    script = (
        "from vidclf_cli.writers.output import open_output\n"
        "with open_output('-') as stream: stream.write('Größe 😀\\n')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=True)
    assert done.stdout == "Größe 😀\n".encode()


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with open_output(str(tmp_path / "link.csv")) as stream:
        stream.write("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="named pipes of POSIX")
def test_what_is_no_regular_file_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(str(pipe))
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    with open_output(str(pipe)) as stream:
        stream.write("rows")
    assert reader.communicate(timeout=10)[0] == b"rows"
    assert pipe.is_fifo()


def test_dev_stdout_that_is_a_pipe_is_written_to() -> None:
    """Behind the link stands `pipe:[123]`, which is no name of a file."""
    code = "from vidclf_cli.writers.output import check_writable, open_output\n"
    code += "check_writable('/dev/stdout')\nwith open_output('/dev/stdout') as stream: stream.write('rows')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("rows", 0), done.stderr
