"""The state of a video and of all that is said about it: another signature may mean another row.

By size, times and inode, as the path index has it, not by comparing times with those of the output: so a
sidecar that was deleted counts too, and so does a file that was put in place with an old date; clocks of
file servers do not matter.
"""

from __future__ import annotations

import hashlib
import os

from vidclf_cli.metadata.sidecars import Sidecars
from vidclf_cli.records import Video

_RESOLUTION_NS = 3_000_000_000
"""FAT keeps times to 2 s. What changed within it before a run began may change once more, unseen."""


def signature_of(video: Video, sidecars: Sidecars, now_ns: int) -> str:
    """Return 16 hexadecimal digits; nothing when the state is too fresh to be told from the next one.

    Args:
        video: As it was found.
        sidecars: Those of the run.
        now_ns: When the run began, nanoseconds since the epoch.
    """
    oldest_fresh = now_ns - _RESOLUTION_NS
    files = sidecars.files_about(video)
    state: list[object] = [os.fsencode(video.path), os.fsencode(video.root)]
    state += [video.size_bytes, video.mtime_ns, video.inode, sidecars.is_name_unique(video)]
    if video.mtime_ns >= oldest_fresh:
        return ""
    for path in files:
        try:
            status = path.stat()
        except OSError:
            return ""
        if status.st_mtime_ns >= oldest_fresh:
            return ""
        state += [os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return hashlib.blake2b(repr(state).encode(), digest_size=8).hexdigest()
