"""Words of exact lengths from a probabilistic grammar of brackets."""

import numpy as np


class Nesting:
    """Words of the grammar S -> ( S ) | S S | empty, given their length.

    A word is a tree: a pair of brackets is a vertex, the pairs directly inside are its children, and a root
    encloses all. A vertex has k children with the weight f_k, the k-th coefficient of F, where q is the
    probability of S S, r that of empty and p that of ( S ):

    ::

        F(z) = r + p z + q F(z)^2
        forests[a, j] = sum_k f_k forests[a - 1 + k, j - 1]       forests[0, 0] = 1

    ``forests[a, j]`` is the weight of a trees with j vertices in all. The first of these vertices has k
    children with the probability f_k forests[a - 1 + k, j - 1] / forests[a, j].

    All words of a length have the same power of p, so any p gives the same distribution. With
    p = sqrt(r / q) - 2 r, a vertex has one child on average, and the weights of long words do not vanish.

    Args:
        longest: length of the longest word.
        join: q.
        stop: r.
    """

    def __init__(self, longest: int, join: float, stop: float):
        self.longest = longest
        vertices = longest // 2 + 1
        root = np.sqrt(1 - 4 * join * stop)
        f = np.zeros(vertices + 1)
        f[0] = 2 * stop / (1 + root)
        f[1] = (np.sqrt(stop / join) - 2 * stop) / root
        for k in range(2, vertices + 1):
            f[k] = join * f[1:k] @ f[k - 1 : 0 : -1] / root
        self.children = f / np.sqrt(stop / join)  # (vertices + 1,)
        self.forests = np.zeros((2 * vertices + 1, vertices + 1))
        self.forests[0, 0] = 1
        for j in range(1, vertices + 1):
            before = self.forests[:, j - 1]
            self.forests[1 : vertices + 2, j] = np.correlate(before, self.children, "valid")

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
        """Draw a word of each of the ``lengths`` ``(batch,)``.

        Returns:
            bool ``(batch, longest)``: whether the bracket at a place opens.
        """
        rows = np.arange(len(lengths))
        opens = np.zeros((len(lengths), self.longest), "bool")
        trees, vertices = np.ones_like(lengths), lengths // 2 + 1  # not yet drawn
        missing = np.zeros((len(lengths), self.longest // 2 + 1), "int64")  # children not yet drawn, by depth
        depth, opened = np.zeros_like(lengths), rows  # the roots
        for place in range(self.longest):
            children = self._children(rng, trees[opened], vertices[opened])
            missing[opened, depth[opened]] = children
            trees[opened] += children - 1
            vertices[opened] -= 1
            opens[:, place] = missing[rows, depth] > 0
            opened = np.flatnonzero(opens[:, place])
            missing[opened, depth[opened]] -= 1
            depth = np.maximum(depth + np.where(opens[:, place], 1, -1), 0)  # 0 after the end
        return opens

    def _children(self, rng: np.random.Generator, trees: np.ndarray, vertices: np.ndarray) -> np.ndarray:
        """Draw the number of children of the next vertex of each row.

        Args:
            rng: the generator to draw from.
            trees: ``(rows,)``, trees not yet drawn.
            vertices: ``(rows,)``, vertices in these trees.
        """
        after = trees[:, None] - 1 + np.arange(len(self.children))
        weights = np.cumsum(self.children * self.forests[after, vertices[:, None] - 1], axis=1)
        children: np.ndarray = (weights <= rng.random((len(trees), 1)) * weights[:, -1:]).sum(axis=1)
        return children
