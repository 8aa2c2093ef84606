"""A worker's crash, hang or hunger costs its own task, and no process outlives its parent."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.media import misbehaviour
from vidclf_cli.errors import Code, MediaError
from vidclf_cli.media.isolate import DecodePool, isolation_report
from vidclf_cli.media.sample import read_sample
from vidclf_cli.media.types import Limits, SampleRequest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and uses signals")

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(seconds=1.0)
SOON = 20.0


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1, Limits(memory_bytes=256 << 20, open_files=40)) as shared:
        yield shared


def kill_and_expect_nobody_left(parent: subprocess.Popen[str], children: list[psutil.Process]) -> None:
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=3)
    for child in alive:
        child.kill()
    assert not alive


def reason_of(future: Future[Any]) -> Code:
    with pytest.raises(MediaError) as caught:
        future.result(SOON)
    return caught.value.reason.code


def test_a_worker_returns_what_reading_here_returns(pool: DecodePool, odd_video: Any) -> None:
    path = odd_video("cuts.mp4")
    request = SampleRequest(8, 2.0)
    there, here = pool.submit(path, request).result(SOON), read_sample(path, request)
    assert there.info == here.info
    assert there.timestamps_seconds == here.timestamps_seconds
    assert all(np.array_equal(*pair) for pair in zip(there.frames, here.frames, strict=True))
    assert there.waveform is not None and here.waveform is not None
    assert np.array_equal(there.waveform, here.waveform)


def test_a_reason_travels_back(pool: DecodePool, odd_video: Any) -> None:
    with pytest.raises(MediaError) as caught:
        pool.submit(odd_video("empty.mp4"), SampleRequest()).result(SOON)
    assert str(caught.value.reason) == "empty-file: the file is empty"


def test_a_name_that_is_no_utf8_reaches_the_worker(pool: DecodePool, odd_video: Any, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9-\xff.mp4")
    path.write_bytes(odd_video("one-frame.mp4").read_bytes())
    assert len(pool.submit(path, SampleRequest()).result(SOON).frames) == 1


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_crash_costs_one_task(signal_number: signal.Signals) -> None:
    with DecodePool(2) as pool:
        tasks = [pool._run(misbehaviour.answer) for _ in range(4)]
        crash = pool._run(misbehaviour.end_by, int(signal_number))
        tasks += [pool._run(misbehaviour.answer) for _ in range(8)]
        assert reason_of(crash) == Code.DECODER_CRASHED
        assert signal_number.name in str(crash.exception())
        assert [task.result(SOON) for task in tasks] == [42] * 12


def test_many_crashes_in_a_row_cost_only_themselves() -> None:
    with DecodePool(2) as pool:
        tasks = [
            pool._run(misbehaviour.end_by, int(signal.SIGSEGV))
            if number % 2
            else pool._run(misbehaviour.answer)
            for number in range(12)
        ]
        outcomes = ["crash" if task.exception(SOON) else "ok" for task in tasks]
    assert outcomes == ["ok", "crash"] * 6


@pytest.mark.parametrize("hang", [misbehaviour.wait_for_ever, misbehaviour.hold_the_interpreter])
def test_a_hang_ends_at_the_time_limit_and_costs_one_task(hang: Any) -> None:
    with DecodePool(2, QUICK) as pool:
        started = time.monotonic()
        hung = pool._run(hang)
        tasks = [pool._run(misbehaviour.answer) for _ in range(6)]
        assert [task.result(SOON) for task in tasks] == [42] * 6
        assert reason_of(hung) == Code.TIME_LIMIT
        assert "--time-limit" in str(hung.exception())
        assert time.monotonic() - started < 6
        assert pool._run(misbehaviour.answer).result(SOON) == 42


def test_memory_is_limited(pool: DecodePool) -> None:
    hungry = pool._run(misbehaviour.eat_memory, 300 << 20)
    assert reason_of(hungry) == Code.MEMORY_LIMIT
    assert "--memory-limit" in str(hungry.exception())
    assert not pool._run(misbehaviour.malloc_succeeds, 300 << 20).result(SOON)
    assert pool._run(misbehaviour.eat_memory, 200 << 20).result(SOON) == 200 << 20


def test_a_frame_too_large_for_the_memory_limit_is_a_reason(odd_video: Any) -> None:
    with DecodePool(1, Limits(memory_bytes=16 << 20, frame_pixels=1 << 30)) as pool:
        assert reason_of(pool.submit(odd_video("huge.mov"), SampleRequest())) == Code.MEMORY_LIMIT


def test_a_bug_is_an_internal_reason_and_not_the_end(pool: DecodePool) -> None:
    assert reason_of(pool._run(misbehaviour.fail)) == Code.INTERNAL
    assert pool._run(misbehaviour.answer).result(SOON) == 42


def test_open_files_core_dumps_and_threads_are_limited(pool: DecodePool) -> None:
    assert pool._run(misbehaviour.limits).result(SOON) == {"core": 0, "files": 40, "threads": 2}


def test_workers_load_the_decoder_and_nothing_big_besides(pool: DecodePool) -> None:
    loaded = set(pool._run(misbehaviour.modules).result(SOON))
    assert {"av", "numpy"} <= loaded
    assert not loaded & {"onnxruntime", "h5py", "moviepy", "tokenizers", "openai", "twelvelabs", "click"}


def test_workers_are_not_interrupted_by_ctrl_c(pool: DecodePool) -> None:
    assert pool._run(misbehaviour.ignores_interrupt).result(SOON)


def test_an_idle_worker_that_dies_is_replaced() -> None:
    with DecodePool(1) as pool:
        os.kill(pool._run(misbehaviour.process_id).result(SOON), signal.SIGKILL)
        time.sleep(0.3)
        assert pool._run(misbehaviour.answer).result(SOON) == 42


def test_stop_ends_hung_workers_at_once_and_cancels_what_waits() -> None:
    pool = DecodePool(2)
    pool._run(misbehaviour.answer).result(SOON)
    tasks = [pool._run(misbehaviour.hold_the_interpreter) for _ in range(20)]
    time.sleep(0.3)
    before = time.monotonic()
    pool.stop()
    assert time.monotonic() - before < 1.0
    done, _ = wait(tasks, timeout=1)
    assert len(done) == 20
    assert all(task.cancelled() for task in tasks)
    with pytest.raises(CancelledError):
        pool._run(misbehaviour.answer).result(1)


def test_stop_right_after_the_start_leaves_no_worker() -> None:
    pool = DecodePool(2)
    pool.stop()
    time.sleep(0.3)
    assert not any("misbehaviour" in name for name in _workers(psutil.Process()))


def test_cancelling_ends_the_work_and_frees_the_worker(pool: DecodePool) -> None:
    hung = pool._run(misbehaviour.wait_for_ever)
    time.sleep(0.3)
    assert hung.cancel()
    done, _ = wait([hung], timeout=3, return_when=FIRST_COMPLETED)
    assert done
    assert pool._run(misbehaviour.answer).result(SOON) == 42


def test_an_exception_in_the_block_stops_the_pool() -> None:
    pool = DecodePool(1)
    hung = pool._run(misbehaviour.wait_for_ever)
    with pytest.raises(ZeroDivisionError), pool:
        raise ZeroDivisionError
    assert hung.cancelled()


def _workers(process: psutil.Process) -> list[str]:
    return [" ".join(child.cmdline()) for child in process.children(recursive=True)]


def run_script(text: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("hang", ["wait_for_ever", "hold_the_interpreter", "answer"])
def test_killing_the_parent_leaves_no_process_behind(tmp_path: Path, hang: str) -> None:
    script = """
        import time
        from tests.media import misbehaviour
        from vidclf_cli.media.isolate import DecodePool
        pool = DecodePool(2)
        pool._run(misbehaviour.answer).result()
        pool._run(misbehaviour.HANG)
        pool._run(misbehaviour.HANG)
        time.sleep(0.5)
        print("ready", flush=True)
        time.sleep(600)
    """
    with run_script(script.replace("HANG", hang), tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 4  # two workers, the fork server, the resource tracker
        kill_and_expect_nobody_left(parent, children)


def test_workers_that_are_spawned_are_fenced_in_as_well(tmp_path: Path) -> None:
    """As on systems without a fork server."""
    script = """
        import os, signal, time
        from tests.media import misbehaviour
        from vidclf_cli.media import isolate, launch
        isolate.start_method = launch.start_method = lambda: "spawn"
        pool = isolate.DecodePool(1)
        print(b"sesame" in pool._run(misbehaviour.environment_at_start).result())
        print(pool._run(misbehaviour.end_by, int(signal.SIGSEGV)).exception())
        print(pool._run(misbehaviour.answer).result())
        pool._run(misbehaviour.wait_for_ever)
        time.sleep(0.5)
        print("ready", flush=True)
        time.sleep(600)
    """
    with run_script(script, tmp_path, OPENAI_API_KEY="sesame") as parent:
        assert parent.stdout is not None
        printed = [parent.stdout.readline() for _ in range(4)]
        assert printed[::2] == ["False\n", "42\n"]
        assert printed[1].startswith("decoder-crashed:")
        assert printed[3] == "ready\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        kill_and_expect_nobody_left(parent, children)


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    script = """
        from tests.media import misbehaviour
        from vidclf_cli.media.isolate import DecodePool
        print("script runs")
        with DecodePool(1) as pool:
            pool._run(misbehaviour.print_something).result()
            print(pool._run(misbehaviour.answer).result())
    """
    done = run_script(script, tmp_path).communicate(timeout=30)
    assert done == ("script runs\n42\n", "")


def test_a_module_in_the_current_folder_is_not_imported(tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for name in ("av", "numpy", "pebble", "multiprocessing", "random"):
        (downloads / f"{name}.py").write_text("open('owned', 'w')\n")
    script = """
        import os
        os.chdir("downloads")
        from tests.media import misbehaviour
        from vidclf_cli.media.isolate import DecodePool
        with DecodePool(1) as pool:
            print(pool._run(misbehaviour.answer).result())
    """
    assert run_script(script, tmp_path).communicate(timeout=30) == ("42\n", "")
    assert not (downloads / "owned").exists()


def test_keys_are_not_in_the_environment_of_workers(tmp_path: Path) -> None:
    script = """
        import os
        from tests.media import misbehaviour
        from vidclf_cli.media.isolate import DecodePool
        with DecodePool(1) as pool:
            print("sesame" in str(pool._run(misbehaviour.environment).result()))
            print(b"sesame" in pool._run(misbehaviour.environment_at_start).result())
        print(os.environ["OPENAI_API_KEY"], os.environ["HF_TOKEN"], os.environ.get("PYTHONSAFEPATH"))
    """
    keys = {"OPENAI_API_KEY": "sesame1", "HF_TOKEN": "sesame2", "AWS_SECRET_ACCESS_KEY": "sesame3"}
    out, error = run_script(script, tmp_path, **keys).communicate(timeout=30)
    assert (out, error) == ("False\nFalse\nsesame1 sesame2 None\n", "")


def test_the_report_names_every_fence() -> None:
    report = isolation_report()
    assert {subject for subject, _, _ in report} == {"processes", "time", "memory", "files", "keys", "parent"}
    assert all(text for _, _, text in report)


def test_frames_are_freed_at_once_and_not_when_the_garbage_collector_comes_by(
    pool: DecodePool, odd_video: Any
) -> None:
    gc.collect()
    gc.disable()
    try:
        # The frames' own arrays: what would be kept is megabytes per video.
        sample = pool.submit(odd_video("cuts.mp4"), SampleRequest()).result(SOON)
        frame = weakref.ref(sample.frames[0])
        del sample
        for _ in range(2):  # the pool's threads hold on to the last task until the next one
            reason_of(pool.submit(odd_video("empty.mp4"), SampleRequest()))
        assert frame() is None
    finally:
        gc.enable()
