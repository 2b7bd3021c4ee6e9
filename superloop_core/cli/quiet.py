"""Start TensorFlow without the notes that it prints at any log level."""

import os
import sys
import tempfile


def start_tensorflow() -> None:
    """Import TensorFlow and suppress its output to stderr, unless the import fails.

    Its warnings are for programmers (a function traced again for another sequence length).
    """
    if not os.environ.get("KERAS_BACKEND"):
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's keras.json says
    if "tensorflow" in sys.modules or "TF_CPP_MAX_VLOG_LEVEL" in os.environ:
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
