"""The matrices of the Legendre delay, of continuous and of discrete time, in float64."""

import math

import numpy as np

TERMS = 20  # of the series of exp at a norm of 1/2: the first one left out is 2e-25


def delay(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return A ``(order, order)`` and B ``(order,)`` of theta m' = A m + B u; see :class:`.lmu.LMU`."""
    i = np.arange(order)
    scale = 2.0 * i + 1
    signs = np.where(i[:, None] < i, -1.0, -((-1.0) ** (i[:, None] - i)))
    return scale[:, None] * signs, scale * (-1.0) ** i


def zero_order_hold(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A_d and B_d: m(t + 1) = A_d m(t) + B_d u, where m' = A m + B u and u is constant.

    Both are blocks of the exponential of one matrix, so that A is not inverted.
    """
    size = len(b)
    joint = np.zeros((size + 1, size + 1))
    joint[:size, :size], joint[:size, size] = a, b
    held = expm(joint)
    return held[:size, :size], held[:size, size]


def expm(matrix: np.ndarray) -> np.ndarray:
    """Return the exponential of a matrix, by its series at a norm of 1/2 at most, and by squaring."""
    norm = float(np.abs(matrix).sum(axis=0).max())
    squarings = max(0, math.ceil(math.log2(norm)) + 1) if norm else 0
    small = matrix / 2.0**squarings
    result = np.eye(len(matrix))
    for n in range(TERMS, 0, -1):  # Horner's scheme
        result = np.eye(len(matrix)) + small @ result / n
    for _ in range(squarings):
        result = result @ result
    return result
