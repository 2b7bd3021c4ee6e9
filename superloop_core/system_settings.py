"""SystemSettings, what the core reads from a system's settings; it needs no Keras."""

import abc
from collections.abc import Mapping

Shape = tuple[int | None, ...]  # without the batch axis; None: a size that the data decides


class SystemSettings(abc.ABC):
    """The base class of the settings of external systems.

    A subclass is a frozen attrs class. One that does not derive from it, but has ``control_size`` and
    ``output_size``, works as well.
    """

    @property
    @abc.abstractmethod
    def control_size(self) -> int:
        """Size of the control at each timestep."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Size of the read vector at each timestep."""

    @property
    def sources(self) -> Mapping[str, Shape]:
        """Shapes of what the system reads besides its control, by name, without the batch axis."""
        return {}


def shape_in_words(shape: Shape) -> str:
    """Return a shape with its batch axis, in words: ``(batch, any, 10)``."""
    return f"({', '.join(['batch', *('any' if size is None else str(size) for size in shape)])})"


def sources_of(settings: object) -> dict[str, Shape]:
    """Return the sources that settings of any class declare; none where they declare nothing."""
    return dict(getattr(settings, "sources", {}))
