"""Ctrl-C, noted instead of raised."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs


@attrs.define
class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked: bool = False


@contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Note the first Ctrl-C instead of raising it; the second raises ``KeyboardInterrupt``.

    In another thread than the main one, and where another handler is installed, Ctrl-C is left alone.
    """
    interrupt = Interrupt()

    def ask(*_: object) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupt
        return
    signal.signal(signal.SIGINT, ask)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
