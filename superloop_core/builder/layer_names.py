"""Names of layers that count from a loop's own layers, not from all that the process made before."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from keras.src.backend.common import global_state  # Keras has no public way to set its counters

COUNTERS = "object_name_uids"


class LayerNames:
    """The counters of one loop: its first GRU cell is always ``gru_cell``, its second ``gru_cell_1``.

    The paths of weights are made of these names, so that a clone's are those of the original.
    """

    def __init__(self) -> None:
        self._counters: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let layers that are made within, and have no name of their own, be named by these counters."""
        before = global_state.get_global_attribute(COUNTERS)
        global_state.set_global_attribute(COUNTERS, self._counters)
        try:
            yield
        finally:
            global_state.set_global_attribute(COUNTERS, before)
