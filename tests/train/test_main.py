"""`python -m vidclf_train` without the packages of the extra."""

from __future__ import annotations

import subprocess
import sys

_WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from vidclf_train.__main__ import main; main()"


def test_a_package_that_is_not_installed_is_named_with_its_extra() -> None:
    # In a process of its own: modules that were imported without torch must not stay.
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, "real-clips", "--help"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: `real-clips` needs torch, which is not installed. "
        "Install the extra: `pip install 'vidclf[train]'`.\n"
    )
