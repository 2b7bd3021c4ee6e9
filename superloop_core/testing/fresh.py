"""A fresh process that loads saved models: one serves all the checks of a run.

``python -m superloop_core.testing.fresh`` is that process: it takes a request a line, in JSON, and
answers with a line of JSON.
"""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from superloop_core.testing.kit import CheckFailed


def answers_in_a_fresh_process(model: Path, feed: dict[str, Any]) -> dict[str, Any]:
    """Load a model in the fresh process, and return what it answers there.

    Raises:
        CheckFailed: it cannot be loaded, or fails.
    """
    given, answered = model.with_name("feed.npz"), model.with_name("answers.npz")
    np.savez(given, **feed)
    request = {"model": str(model), "feed": str(given), "answers": str(answered), "path": sys.path}
    process = _process()
    try:
        print(json.dumps(request), file=process.stdin, flush=True)
        reply = process.stdout.readline() if process.stdout else ""
    except BrokenPipeError:
        reply = ""
    if not reply:
        _process.cache_clear()  # the next check begins another
        raise CheckFailed("the process that was to load the model ended")
    told = json.loads(reply)
    if told["error"]:
        raise CheckFailed(f"the saved model cannot be loaded in a fresh process: {told['error']}")
    with np.load(answered) as arrays:
        return dict(arrays)


@cache
def _process() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "superloop_core.testing.fresh"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    atexit.register(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()  # which waits, and closes its files


def _serve() -> None:
    from superloop_core.layer import load_model
    from superloop_core.registry import Registry, load_registry, registry_in_use
    from superloop_core.testing.controller import add_controller

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a plugin prints is no reply
    for line in sys.stdin:
        request = json.loads(line)
        sys.path[:] = request["path"]
        error = ""
        try:
            with registry_in_use(None):
                registry: Registry = load_registry()
                add_controller(registry)
                model = load_model(request["model"])
                with np.load(request["feed"]) as feed:
                    answer = model(dict(feed) if isinstance(model.input, dict) else feed["inputs"])
            arrays: dict[str, Any] = {name: np.asarray(trace) for name, trace in answer.items()}
            np.savez(request["answers"], **arrays)
        except (Exception, SystemExit) as failure:
            error = f"{type(failure).__name__}: {failure}"
        print(json.dumps({"error": error}), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
