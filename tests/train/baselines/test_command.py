"""The commands as they are typed, with a hub on the loopback where weights are fetched by name."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vidclf_train.__main__ import main

COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL_TEMPLATE = "/{repo_id}/resolve/{revision}/{filename}"


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_extra_is_one_line_and_costs_no_time(package: str, two_kinds: Path, tmp_path: Path) -> None:
    hidden = f"import sys; sys.modules[{package!r}] = None; from vidclf_train.__main__ import main; main()"
    command = [sys.executable, "-c", hidden, "baselines", "timesformer", two_kinds, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: The package {package} is not installed, and TimeSformer needs it. "
        "Install the extra: `pip install 'vidclf[baselines]'`.\n"
    )


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    """Serve a folder as the repository `someone/tiny` of a Hugging Face hub."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = folder / self.path.rpartition("/")[2]
            known = self.path.startswith("/someone/tiny/resolve/") and path.is_file()
            body = path.read_bytes() if known else b"{}"
            self.send_response(200 if known else 404)
            if known:
                self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            elif self.path.startswith("/someone/tiny/"):
                self.send_header("X-Error-Code", "EntryNotFound")
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads along."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def loopback_hub(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with hub(tiny_weights) as address:
        # What HF_ENDPOINT and HF_HOME set when the library is imported.
        constants = "huggingface_hub.constants"
        monkeypatch.setattr(f"{constants}.ENDPOINT", address)
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", address + URL_TEMPLATE)
        monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
        yield


def _run(data: Path, weights: str, out: Path) -> Result:
    options = ("--epochs", "1", "--batch-size", "4", "--device", "cpu", "--jobs", "1")
    arguments = ("baselines", "timesformer", str(data), "--weights", weights, "--out", str(out), *options)
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.mark.usefixtures("loopback_hub")
def test_weights_come_from_a_hub_by_name(two_kinds: Path, tmp_path: Path) -> None:
    done = _run(two_kinds, "someone/tiny", tmp_path / "out")
    assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["made_by"]["weights"] == f"someone/tiny@{COMMIT}"
    assert "test: 2 videos; accuracy" in done.stdout
    assert "cost per video (medians): decoding" in done.stdout
    assert "on cpu (asked for; float32)" in done.stderr


@pytest.mark.usefixtures("loopback_hub")
def test_a_hub_without_such_weights_is_one_line(two_kinds: Path, tmp_path: Path) -> None:
    done = _run(two_kinds, "nobody/else", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: The weights nobody/else cannot be fetched: ")
    assert done.stderr.count("\n") == 1


def test_videos_that_cannot_be_read_end_with_1(two_kinds: Path, tiny_weights: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(two_kinds, data)
    (data / "dark" / "3.mp4").write_bytes(b"")
    done = _run(data, str(tiny_weights), tmp_path / "out")
    assert done.exit_code == 1, done.output
    assert "24 videos of 2 labels: 19 training, 2 validation, 2 test; 1 could not be read" in done.stderr


def test_measuring_prints_what_is_extrapolated_as_such(
    two_kinds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers", reason="the extra [baselines] is not installed")
    from vidclf_train.baselines import cost

    tiny = {"image_size": 32, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    base = cost.TimesformerConfig
    monkeypatch.setattr(cost, "TimesformerConfig", lambda **values: base(**{**tiny, **values}))
    arguments = ("baselines", "timesformer", str(two_kinds), "--measure-only", "--repeats", "1")
    done = CliRunner().invoke(main, [*arguments, "--batch-size", "1"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "medians of 1 batches of 1: forward " in done.stdout
    assert "extrapolated, not measured: 1800 videos x 10 epochs take" in done.stdout
    assert "decoding, one process" in done.stdout
