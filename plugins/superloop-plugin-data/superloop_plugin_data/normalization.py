"""Means and standard deviations of columns, over the training examples."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from superloop_core import ConfigError


@attrs.frozen(kw_only=True, eq=False)
class Normalization:
    """What shifts and scales numbers.

    Args:
        mean: of each number, ``(numbers,)``.
        scale: the standard deviation of each; 1 where all values are one.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def over(cls, matrices: Iterable[np.ndarray], names: str) -> "Normalization":
        """Compute it in one pass, without the missing values (Welford, 1962; Chan et al., 1979).

        Raises:
            ConfigError: a number is missing in all examples.
        """
        count = mean = spread = np.zeros(())
        for matrix in matrices:
            known = ~np.isnan(matrix)
            n = known.sum(axis=0)
            added = np.where(known, matrix, 0).sum(axis=0) / np.maximum(n, 1)
            around = np.where(known, matrix - added, 0)
            total = np.maximum(count + n, 1)
            delta = np.where(n > 0, added - mean, 0)
            spread = spread + np.square(around).sum(axis=0) + np.square(delta) * count * n / total
            mean = mean + delta * n / total
            count = count + n
        if np.any(count == 0):
            raise ConfigError(f"{names}: a number is missing in all training examples; leave its column out")
        scale = np.sqrt(spread / count)
        # Below the rounding of the values: all are one.
        constant = scale <= 1e-12 * np.maximum(np.abs(mean), np.finfo(float).tiny)
        return cls(mean=np.atleast_1d(mean), scale=np.atleast_1d(np.where(constant, 1.0, scale)))

    def apply(self, matrix: np.ndarray) -> np.ndarray:
        """Shift and scale ``(..., numbers)``."""
        shifted: np.ndarray = (matrix - self.mean) / self.scale
        return shifted

    def undo(self, matrix: np.ndarray) -> np.ndarray:
        """Return normalized numbers ``(..., numbers)`` in their own units."""
        own: np.ndarray = matrix * self.scale + self.mean
        return own

    def of_columns(self, places: Sequence[int]) -> "Normalization":
        """Return that of some of the numbers, by their places."""
        return Normalization(mean=self.mean[places], scale=self.scale[places])

    def in_words(self, names: Sequence[str]) -> str:
        """``["level"]`` -> ``level 2.5 (sd 0.1)``"""
        columns = zip(names, self.mean, self.scale, strict=True)
        return ", ".join(f"{name} {mean:.4g} (sd {scale:.4g})" for name, mean, scale in columns)

    def state(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Normalization":
        """Return what :meth:`state` returned."""
        return cls(mean=np.array(state["mean"], "float64"), scale=np.array(state["scale"], "float64"))
