import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidclf_cli.errors import EncoderError, UsageError
from vidclf_cli.runtime import (
    CPU_PROVIDER,
    Device,
    choose_device,
    find_gpu,
    open_session,
    provider_of,
    usable_core_count,
)
from vidclf_cli.shipped import encoder_file

CPU = Device("cpu", "a test")

without_gpu = pytest.mark.skipif(find_gpu(), reason="this machine has a GPU")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=settings, timeout=120
    )


def test_the_cpu_can_be_asked_for() -> None:
    assert choose_device("cpu").name == "cpu"


@without_gpu
def test_without_a_gpu_the_cpu_is_chosen_and_the_reason_given() -> None:
    assert choose_device("auto") == Device("cpu", "no NVIDIA GPU found")


@without_gpu
def test_asking_for_cuda_without_a_gpu_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match=r"no NVIDIA GPU found.*vidclf\[cuda\].*--device cpu") as caught:
        choose_device("cuda")
    assert caught.value.exit_code == 2


def test_a_session_does_not_spin_and_has_the_threads_asked_for() -> None:
    options = open_session(encoder_file("efficientnet-lite0.int8.onnx"), CPU, 2).get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.intra_op_num_threads == 2


def test_threads_default_to_the_cores_that_the_process_may_use() -> None:
    options = open_session(encoder_file("efficientnet-lite0.int8.onnx"), CPU).get_session_options()
    assert options.intra_op_num_threads == usable_core_count()


def test_a_file_that_is_no_network_is_an_encoder_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(EncoderError, match=r"broken\.onnx cannot be loaded"):
        open_session(path, CPU)


def test_using_every_local_encoder_prints_nothing() -> None:
    done = run(
        "import numpy as np\n"
        "from vidclf_cli.embedders.local import LocalMetadata, LocalVisual\n"
        "LocalMetadata().embed(['a word'])\n"
        "LocalVisual().provider\n"
    )
    assert (done.stdout, done.stderr) == ("", "")


@without_gpu
def test_cuda_that_cannot_start_falls_back_to_the_cpu_without_a_word() -> None:
    done = run(
        "from vidclf_cli.runtime import Device, open_session, provider_of\n"
        "from vidclf_cli.shipped import encoder_file\n"
        "session = open_session(encoder_file('efficientnet-lite0.int8.onnx'), Device('cuda', 'a test'))\n"
        "print(provider_of(session))\n"
    )
    assert (done.stdout, done.stderr) == (f"{CPU_PROVIDER}\n", "")


@without_gpu
def test_the_picture_encoder_says_what_it_really_runs_on() -> None:
    from vidclf_cli.embedders.local import LocalVisual

    encoder = LocalVisual(device=Device("cuda", "an NVIDIA GPU was found"))
    assert encoder.provider == CPU_PROVIDER
    assert encoder.device.name == "cpu"
    assert "CUDA cannot be started" in encoder.device.reason


@without_gpu
def test_cuda_that_was_asked_for_and_cannot_start_is_an_error() -> None:
    from vidclf_cli.embedders.local import LocalVisual

    encoder = LocalVisual(device=Device("cuda", "asked for", required=True))
    with pytest.raises(UsageError, match=r"vidclf\[cuda\]"):
        _ = encoder.provider


def test_warnings_that_native_code_writes_while_it_is_imported_are_swallowed(tmp_path: Path) -> None:
    # ONNX Runtime does so under WSL; this stands in for it, and writes to the descriptor as native code does.
    (tmp_path / "onnxruntime.py").write_text(
        "import os\n"
        "os.write(2, b'[W:onnxruntime] GPU device discovery failed')\n"
        "def set_default_logger_severity(level): pass\n"
    )
    root = Path(__file__).resolve().parents[1]
    done = run(
        "import sys\n"
        "from vidclf_cli.runtime import load_onnxruntime\n"
        "load_onnxruntime()\n"
        "print('still heard', file=sys.stderr)\n",
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(root)]),
    )
    assert done.stderr == "still heard\n"


def test_the_provider_is_the_sessions_own() -> None:
    assert provider_of(open_session(encoder_file("efficientnet-lite0.int8.onnx"), CPU)) == CPU_PROVIDER
