"""ONNX Runtime: which device runs the networks, and sessions that are quiet and small.

The device is chosen once, by looking for a GPU first: the GPU build of ONNX Runtime lists CUDA as available
on every machine, and asking for it where there is none prints a page of errors.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from vidclf_cli.errors import EncoderError, UsageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DeviceChoice = Literal["auto", "cpu", "cuda"]

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"

_SILENT = 4  # Only fatal errors: what matters comes back as an exception.
CUDA_ADVICE = (
    "`--device cuda` needs an NVIDIA GPU with its driver, and CUDA's libraries: `pip install 'vidclf[cuda]'` "
    "(with pipx: `pipx inject vidclf 'onnxruntime-gpu[cuda,cudnn]'`). Without one use `--device cpu`."
)


@dataclass(frozen=True, slots=True)
class Device:
    """Where networks run, and why.

    Attributes:
        name: What to ask ONNX Runtime for.
        reason: Why it was chosen, for people.
        required: The user asked for it by name: no other will do.
    """

    name: Literal["cpu", "cuda"]
    reason: str
    required: bool = False


def choose_device(choice: DeviceChoice = "auto") -> Device:
    """Choose the device.

    Raises:
        UsageError: CUDA was asked for and there is no GPU, or this ONNX Runtime has no CUDA.
    """
    if choice == "cpu":
        return Device("cpu", "asked for", required=True)
    missing = _why_no_cuda()
    if choice == "cuda":
        if missing:
            raise UsageError(f"CUDA cannot be used: {missing}.", CUDA_ADVICE)
        return Device("cuda", "asked for", required=True)
    return Device("cpu", missing) if missing else Device("cuda", "an NVIDIA GPU was found")


def find_gpu() -> bool:
    """Whether NVIDIA's driver answers and has a device; no process is started and nothing is printed.

    `cuInit` and `cuDeviceGetCount` are the driver's own answer, also under WSL and in containers, where
    /proc/driver/nvidia and /dev/nvidia0 may be absent; they also respect CUDA_VISIBLE_DEVICES.
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if sys.platform == "darwin":
        return False
    try:
        driver = ctypes.CDLL(library)
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def open_session(model: Path | bytes, device: Device, thread_count: int = 0) -> InferenceSession:
    """Open a model, quiet and without spinning threads.

    Where CUDA cannot be started although there is a GPU, the session runs on the CPU: `provider_of` tells.

    Args:
        model: The ONNX file, or its bytes.
        device: Where it shall run.
        thread_count: Threads of one run, 0 for one per core that this process may use.

    Raises:
        EncoderError: ONNX Runtime cannot load the file.
    """
    onnxruntime = load_onnxruntime()
    source = model if isinstance(model, bytes) else str(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = thread_count or usable_core_count()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin after each run burn the cores that decode the next videos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # It plans memory anew for every shape of input and keeps the plan; ours differ from batch to batch.
    # The arena stays: without it texts take longer, and the peak is higher.
    options.enable_mem_pattern = False
    if device.name == "cuda":
        session = _open_on_cuda(onnxruntime, source, options)
        if session is not None:
            return session
    try:
        return onnxruntime.InferenceSession(source, options, providers=[CPU_PROVIDER])
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class.
        raise EncoderError(
            f"{'The model' if isinstance(model, bytes) else model} cannot be loaded ({_first_line(error)}).",
            "Install vidclf again.",
        ) from error


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime without the warnings that it prints while it looks for devices.

    It writes them straight to the process's standard error (under WSL, on a Raspberry Pi, with a DisplayLink
    driver: "Failed to open file: /sys/class/drm/card0/device/vendor"), before its log level can be set.
    """
    if "onnxruntime" in sys.modules:
        import onnxruntime
    else:
        with _standard_error_closed():
            import onnxruntime
    onnxruntime.set_default_logger_severity(_SILENT)
    module: ModuleType = onnxruntime
    return module


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 to nowhere for a moment."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, AttributeError, ValueError):  # There is no standard error, as under pythonw.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _open_on_cuda(onnxruntime: ModuleType, source: str | bytes, options: Any) -> InferenceSession | None:
    """Open a model on CUDA; None when CUDA's libraries are missing or do not fit the driver."""
    # The arena grows by what is asked for instead of by doubling, to leave a shared GPU to others.
    cuda = (CUDA_PROVIDER, {"arena_extend_strategy": "kSameAsRequested"})
    with redirect_stdout(StringIO()), _standard_error_closed():
        if hasattr(onnxruntime, "preload_dlls"):  # Since 1.21: finds the libraries that pip installed.
            onnxruntime.preload_dlls()
        try:
            session = onnxruntime.InferenceSession(
                source, options, providers=[cuda, CPU_PROVIDER], enable_fallback=0
            )
        except Exception:  # noqa: BLE001 - whatever it is, the CPU can do the work, and says what is wrong with the file
            return None
    return session if provider_of(session) == CUDA_PROVIDER else None


def provider_of(session: InferenceSession) -> str:
    """Return the provider that the session really runs on, which need not be the one asked for."""
    provider: str = session.get_providers()[0]
    return provider


def usable_core_count() -> int:
    """Return the cores that this process may use: a container or taskset may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _why_no_cuda() -> str:
    """Return why CUDA is out of the question, empty when nothing speaks against it."""
    if not find_gpu():
        return "no NVIDIA GPU found"
    if CUDA_PROVIDER not in load_onnxruntime().get_available_providers():
        return "this ONNX Runtime is built without CUDA"
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
