"""Expressions with brackets, of exact lengths."""

import numpy as np


def draw_expressions(
    rng: np.random.Generator, lengths: np.ndarray, width: int, modulus: int, operators: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw an expression of each of the ``lengths`` ``(batch,)``, and compute its value.

    ::

        E_1 = d    E_2 = -d    E_3 = (d)    E_4 = (-d)    E_n = (E_k o E_{n-3-k}),  k from 1 to n - 4

    Digits d, operators o and splits k are drawn uniformly. All spans of one depth are drawn at once; their
    values are computed from the deepest up.

    Args:
        rng: the generator to draw from.
        lengths: of the expressions.
        width: of the returned symbols.
        modulus: number of digits.
        operators: number of operators, the first of +, -, *.

    Returns:
        symbols ``(batch, width)``: digits, operators, brackets; -1 after the end; and values ``(batch,)``.
    """
    minus, opening, closing = modulus + 1, modulus + operators, modulus + operators + 1
    symbols = np.full((len(lengths), width), -1)
    rows, starts, sizes = np.arange(len(lengths)), np.zeros_like(lengths), lengths
    depths = []
    while rows.size:
        splits, ends = sizes >= 5, starts + sizes - 1
        bracketed, negative = sizes >= 3, (sizes == 2) | (sizes == 4)
        symbols[rows[bracketed], starts[bracketed]] = opening
        symbols[rows[bracketed], ends[bracketed]] = closing
        symbols[rows[negative], (starts + bracketed)[negative]] = minus
        digit = rng.integers(0, modulus, rows.size)
        symbols[rows[~splits], (ends - bracketed)[~splits]] = digit[~splits]
        values = np.where(negative, -digit, digit) % modulus
        rows, starts, sizes = rows[splits], starts[splits], sizes[splits]
        left, operator = rng.integers(1, sizes - 3), rng.integers(0, operators, rows.size)
        symbols[rows, starts + 1 + left] = modulus + operator
        depths.append((splits, values, operator))
        rows = np.concatenate([rows, rows])
        starts = np.concatenate([starts + 1, starts + 2 + left])
        sizes = np.concatenate([left, sizes - 3 - left])
    below = np.zeros(0, "int64")
    for splits, values, operator in reversed(depths):
        left, right = np.split(below, 2)
        values[splits] = np.choose(operator, [left + right, left - right, left * right]) % modulus
        below = values
    return symbols, below
