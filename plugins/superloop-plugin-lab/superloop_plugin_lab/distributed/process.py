"""A worker in a process of its own; it ends when its launcher does.

``python -m superloop_plugin_lab.distributed.process INDEX COUNT ARGUMENT...``; the launcher holds its input.
"""

import ctypes
import os
import signal
import sys
import threading

from superloop_core.cli import main
from superloop_plugin_lab.distributed import launcher

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def _end_with_launcher() -> None:
    """End this process once its input is closed, as it is when the launcher was killed."""
    if sys.platform == "linux":  # also while TensorFlow connects to the others, when no thread of Python runs
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _take_cores(index: int, count: int) -> None:
    """Keep to this worker's share of the cores, of which TensorFlow starts a thread for each."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        share = cores[index * len(cores) // count : (index + 1) * len(cores) // count]
        os.sched_setaffinity(0, share or [cores[index % len(cores)]])


if __name__ == "__main__":
    if os.environ.get(LOG_LEVEL, "2") == "2":  # that of all our commands, which the launcher has set
        os.environ[LOG_LEVEL] = "3"  # without TensorFlow's notes on a worker that died; our error says it
    index, count = map(int, sys.argv[1:3])
    del sys.argv[1:3]
    launcher.is_supervised = True
    _end_with_launcher()
    _take_cores(index, count)
    main()
