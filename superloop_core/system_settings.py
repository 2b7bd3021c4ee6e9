"""SystemSettings, what the core reads from a system's settings, and Source; they need no Keras."""

import abc
from collections.abc import Iterable, Mapping
from typing import Any

from superloop_core.errors import short_repr

Shape = tuple[int | None, ...]  # without the batch axis; None: a size that the data decides
DTYPES = ("float", "bool", "uint8", "int8", "int16", "int32", "int64")


class Source(tuple[int | None, ...]):
    """The shape of a source without the batch axis, a tuple that says more.

    Args:
        shape: a size for each axis; or None, or a name, where the data decides the size. All axes with one
            name in the sources of a system have the same size in a call. ``Source(("items", 8))`` equals
            ``(None, 8)``.
        dtype: what it is cast to: ``"float"``, the dtype that systems compute in; or one of :data:`DTYPES`.
        optional: whether a call may leave it out; it is then not in ``sequence.sources``.

    Attributes:
        dims: the name of each axis, or None.

    Raises:
        ValueError: an axis, or the dtype, is not as above.
    """

    dims: tuple[str | None, ...]
    dtype: str
    optional: bool

    def __new__(
        cls, shape: Iterable[int | str | None], dtype: str = "float", optional: bool = False
    ) -> "Source":
        """Make a source."""
        axes = tuple(shape)
        for axis in axes:
            size = axis is None or (type(axis) is int and axis >= 0)
            if not size and not (isinstance(axis, str) and all(map(str.isidentifier, axis.split(".")))):
                raise ValueError(
                    f"an axis of a source must be an int >= 0, a name or None: {short_repr(axis)}"
                )
        if dtype not in DTYPES:
            raise ValueError(f"the dtype of a source must be one of {', '.join(DTYPES)}: {short_repr(dtype)}")
        made = super().__new__(cls, (None if isinstance(axis, str) else axis for axis in axes))
        made.dims = tuple(axis if isinstance(axis, str) else None for axis in axes)
        made.dtype = dtype
        made.optional = optional
        return made

    def __getnewargs__(self) -> Any:
        """Let copies and pickles be made."""
        return self._axes, self.dtype, self.optional

    def __repr__(self) -> str:
        dtype = f", dtype={self.dtype!r}" if self.dtype != "float" else ""
        return f"Source({self._axes}{dtype}{', optional=True' if self.optional else ''})"

    def within(self, id: str) -> "Source":
        """Return the source of a system in a loop: its axis ``items`` is the loop's axis ``<id>.items``."""
        axes = (f"{id}.{axis}" if isinstance(axis, str) else axis for axis in self._axes)
        return Source(axes, self.dtype, self.optional)

    @property
    def _axes(self) -> tuple[int | str | None, ...]:
        return tuple(name or size for name, size in zip(self.dims, self, strict=True))


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
        """Shapes of what the system reads besides its control, by name, without the batch axis.

        A :class:`Source` says more than a shape: a dtype, names of axes, and whether it is optional.
        """
        return {}


def shape_in_words(shape: Iterable[int | None]) -> str:
    """Return a shape with its batch axis, in words: ``(batch, any, 10)``; a source's dtype follows it."""
    axes = shape._axes if isinstance(shape, Source) else shape
    text = f"({', '.join(['batch', *('any' if size is None else str(size) for size in axes)])})"
    if isinstance(shape, Source):
        text += f" of {shape.dtype}" if shape.dtype != "float" else ""
        text += ", optional" if shape.optional else ""
    return text


def as_source(shape: Iterable[int | str | None]) -> Source:
    """Return a shape as a Source."""
    return shape if isinstance(shape, Source) else Source(shape)


def sources_of(settings: object) -> dict[str, Source]:
    """Return the sources that settings of any class declare; none where they declare nothing."""
    return {name: as_source(shape) for name, shape in getattr(settings, "sources", {}).items()}
