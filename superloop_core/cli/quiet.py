"""Start TensorFlow without the notes that it prints at any log level."""

import atexit
import os
import subprocess
import sys
import tempfile
from contextlib import suppress

if sys.platform == "linux":
    from superloop_core.cli.stored_programs import use_stored_programs
else:  # no /proc/cpuinfo, which says whose programs this machine can run

    def use_stored_programs() -> bool:
        """Return False: nothing is stored."""
        return False


# What TensorFlow prints as errors, and are none. It tries to read a stored program as a text first, two
# preferences of the compiler are no features of any machine, and one computation has two ways.
NOT_ERRORS = (
    rb"text_format\.cc:\d+\] Error parsing text-format tensorflow\.XlaSerializedCacheEntry: |"
    rb"cpu_aot_loader\.cc:\d+\] Loading XLA:CPU AOT result\. Target machine feature "
    rb"\+prefer-no-(scatter|gather) |"
    rb"util\.cc:\d+\] oneDNN supports DT_BOOL only on platforms with AVX-512\."
)
FILTER = f"""
import re, sys
left_out = re.compile({NOT_ERRORS!r})
for line in sys.stdin.buffer:
    if not left_out.search(line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


def start_tensorflow() -> None:
    """Import TensorFlow and suppress its output to stderr, unless the import fails.

    Its warnings are for programmers (a function traced again for another sequence length).
    """
    if not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's keras.json says
    if "tensorflow" in sys.modules:
        return
    if use_stored_programs():
        _filter_stderr()
    if "TF_CPP_MAX_VLOG_LEVEL" in os.environ:
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            tf.get_logger().setLevel("ERROR")
        except Exception:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _filter_stderr() -> None:
    """Leave the lines of :data:`NOT_ERRORS` out of what compiled code prints to stderr.

    A process does it, so that the last words of this one come through where it crashes.  It ends with this
    one.  Python's ``sys.stderr`` goes on to the terminal itself.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        filtering = subprocess.Popen(
            [sys.executable, "-IS", "-c", FILTER],
            stdin=subprocess.PIPE,
            stdout=terminal,
            start_new_session=True,  # Ctrl-C is for this process
        )
    except OSError:  # no more processes: all lines are printed
        os.close(terminal)
        return
    assert filtering.stdin is not None
    os.dup2(filtering.stdin.fileno(), 2)
    filtering.stdin.close()
    if (stream := sys.__stderr__) is not None and sys.stderr is stream:
        sys.stderr = os.fdopen(terminal, "w", 1, stream.encoding, stream.errors)

    def end() -> None:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        with suppress(subprocess.TimeoutExpired):  # another process prints through it
            filtering.wait(timeout=1)

    atexit.register(end)
