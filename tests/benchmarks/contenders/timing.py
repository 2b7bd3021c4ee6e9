"""What every contender measures alike: the first call, the median of those after it, peak memory."""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

STEPS = 5
CLOCK = getattr(time, os.environ.get("SUPERLOOP_BENCHMARK_CLOCK", "perf_counter"))


def timed(**calls: Callable[[], object]) -> dict[str, float]:
    """Time each call once, and then as often as there are steps; seconds."""
    figures = {}
    for name, call in calls.items():
        times = []
        for _ in range(1 + STEPS):
            began = CLOCK()
            call()
            times.append(CLOCK() - began)
        figures[f"first {name}"], figures[name] = times[0], statistics.median(times[1:])
    return figures


def run(contenders: dict[str, Callable[..., dict[str, float]]]) -> None:
    """Measure the contender that the command line names, with the settings it gives as JSON."""
    figures = contenders[sys.argv[1]](**json.loads(sys.argv[2]))
    figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB
    print(json.dumps(figures))
