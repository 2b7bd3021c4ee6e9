"""A new process that loads saved models: one serves all checks of a run.

``python -m superloop_core.testing.fresh`` is that process. It reads one request per line, in JSON, and
answers with a line of JSON.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from superloop_core.errors import reason
from superloop_core.testing.report import CheckFailed

TIMEOUT = 120.0  # seconds, to load a model and run it
LAST_LINES = 10  # of the output of a process that ended


def answers_of(path: str | Path, feed: Mapping[str, Any]) -> dict[str, Any]:
    """Load a model in this process, and return its results."""
    from superloop_core.layer.saving import load_model

    model = load_model(path)
    answer = model(dict(feed) if isinstance(model.input, dict) else feed["inputs"])
    return {name: np.asarray(trace) for name, trace in answer.items()}


def answers_in_a_fresh_process(
    model: Path, feed: dict[str, Any], plugin: Path | None = None
) -> dict[str, Any]:
    """Load a model in the new process, and return its results there.

    Args:
        model: the file of the model.
        feed: its inputs.
        plugin: a Python file that defines a plugin, as of ``superloop -p FILE``.

    Raises:
        CheckFailed: it cannot be loaded, fails, or takes more than :data:`TIMEOUT`.
    """
    given, answered = model.with_name("feed.npz"), model.with_name("answers.npz")
    np.savez(given, **feed)
    request = {
        "model": str(model),
        "feed": str(given),
        "answers": str(answered),
        "path": sys.path,
        "plugin": None if plugin is None else str(plugin),
    }
    process, log = _process()
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()  # which ends the wait for its reply

    timer = threading.Timer(TIMEOUT, stop)
    timer.start()
    try:
        print(json.dumps(request), file=process.stdin, flush=True)
        reply = process.stdout.readline() if process.stdout else ""
    except BrokenPipeError:
        reply = ""
    finally:
        timer.cancel()
    if not reply.endswith("\n"):
        _process.cache_clear()  # the next check begins another
        atexit.unregister(_end)
        printed = _end(process, log)
        what = f"did not answer within {TIMEOUT:g} s, and was stopped" if late.is_set() else "ended"
        raise CheckFailed("\n".join([f"the process that was to load the model {what}", *printed]))
    answer = json.loads(reply)
    if answer["error"]:
        raise CheckFailed(f"the saved model cannot be loaded in a new process: {answer['error']}")
    with np.load(answered) as arrays:
        return dict(arrays)


@cache
def _process() -> "tuple[subprocess.Popen[str], IO[bytes]]":
    # A file, as a pipe that nobody reads fills up.
    log = tempfile.TemporaryFile()  # noqa: SIM115, as _end closes it
    process = subprocess.Popen(
        [sys.executable, "-m", "superloop_core.testing.fresh"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    atexit.register(_end, process, log)
    return process, log


def _end(process: "subprocess.Popen[str]", log: IO[bytes]) -> list[str]:
    """End it, and return the last lines that it printed."""
    process.kill()
    process.communicate()  # which waits, and closes its files
    with log:
        log.seek(0)
        return log.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]


def _serve() -> None:
    from superloop_core.registry.local import load_file
    from superloop_core.registry.registry import Registry, load_registry, registry_in_use
    from superloop_core.testing.controller import add_controller

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of plugins is not a reply
    for line in sys.stdin:
        request = json.loads(line)
        sys.path[:] = request["path"]
        error = ""
        try:
            with registry_in_use(None):
                registry: Registry = load_registry()
                add_controller(registry)
                if request["plugin"] is not None:
                    load_file(Path(request["plugin"]))
                with np.load(request["feed"]) as feed:
                    arrays = answers_of(request["model"], feed)
            np.savez(request["answers"], **arrays)
        except KeyboardInterrupt:
            raise
        except BaseException as failure:
            error = reason(failure)
        print(json.dumps({"error": error}), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
