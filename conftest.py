"""Threads, memory, tiers and order of all tests of the repository."""

import gc
import os

import pytest

from superloop_core.registry import load_registry
from superloop_core.testing import Check

# TensorFlow reads them when it starts. One thread for each process, as several run beside each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["SUPERLOOP_STORED_PROGRAMS"] = "0"  # nothing is left in the user's cache, nor taken from it

# Modules and graphs stay until the end, and Python would look through them again and again.
gc.set_threshold(50_000, 50, 100)

RELEASE_CHECKS = ("stays_finite_in_training",)
# In the release tier for other settings of a plugin: another form of it, or a preset of another one.
EXPENSIVE_CHECKS = ("stays_finite", "xla_is_eager", "static_is_dynamic", "saved_and_loaded")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark the checks of the conformance kit by tier, and group them by plugin, as they share a result.

    Under pytest-xdist slow tests come first, so that the processes end at about the same time.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        for value in callspec.params.values() if callspec else ():
            if isinstance(value, Check):
                expensive = value.name in EXPENSIVE_CHECKS and (value.form or _is_preset(value.record))
                item.add_marker("release" if expensive or value.name in RELEASE_CHECKS else "slow")
                item.add_marker(pytest.mark.xdist_group(f"{value.record.qualified_name} {value.form}"))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)  # otherwise in their order


def pytest_collection_finish():
    """Leave what was imported and collected out of every later search for garbage."""
    gc.freeze()


def pytest_sessionfinish():
    """Search for garbage once, as pytest's own searches at the end would each look through all graphs."""
    gc.collect()
    gc.freeze()


def _is_preset(record):
    """Whether the settings of a plugin are those of another one, with other defaults."""
    own = record.spec.config
    return any(
        other.spec.config in own.__mro__[1:] for other in load_registry().records if other.kind == record.kind
    )
