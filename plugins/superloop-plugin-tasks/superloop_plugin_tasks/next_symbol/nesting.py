"""How brackets nest: words of exact lengths from a probabilistic grammar."""

import numpy as np


class Nesting:
    """Words of the grammar S -> ( S ) | S S | nothing, given their length.

    A word is a tree: a pair of brackets is a vertex, what stands in between are its children, and a root
    stands around it all. A vertex has k children with the k-th coefficient of F, where q is the
    probability of S S, r that of nothing and p that of ( S ):

    ::

        F(z) = r + p z + q F(z)^2
        forests[a, j] = sum_k f_k forests[a - 1 + k, j - 1]       forests[0, 0] = 1

    ``forests[a, j]`` is the weight of a trees of j vertices in all, so the first of them, which is drawn
    first, has k children with probability f_k forests[a - 1 + k, j - 1] / forests[a, j].

    All words of a length have the same power of p. It is set to sqrt(r / q) - 2 r, with which a vertex has
    one child on average, so that weights of long words do not vanish.

    Args:
        longest: of all words.
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
        """Draw a word of each of the ``lengths`` ``(batch,)``; tell what opens, ``(batch, longest)``."""
        rows, shape = np.arange(len(lengths)), (len(lengths), self.longest)
        trees, vertices = np.ones_like(lengths), lengths // 2 + 1  # of what is still to come
        missing = np.zeros((len(lengths), self.longest // 2 + 1), "int64")  # children to come, by depth
        depth, opens = np.zeros_like(lengths), np.zeros(shape, "bool")
        self._visit(rng, rows, depth, missing, trees, vertices)
        for place in range(self.longest):
            opens[:, place] = missing[rows, depth] > 0
            opening = np.flatnonzero(opens[:, place])
            missing[opening, depth[opening]] -= 1
            depth = np.maximum(depth + np.where(opens[:, place], 1, -1), 0)  # 0 after the end
            self._visit(rng, opening, depth, missing, trees, vertices)
        return opens

    def _visit(
        self,
        rng: np.random.Generator,
        rows: np.ndarray,
        depth: np.ndarray,
        missing: np.ndarray,
        trees: np.ndarray,
        vertices: np.ndarray,
    ) -> None:
        """Draw how many children the next vertex of some rows has."""
        k = np.arange(len(self.children))
        after = trees[rows, None] - 1 + k
        weights = np.cumsum(self.children * self.forests[after, vertices[rows, None] - 1], axis=1)
        drawn = (weights <= rng.random((len(rows), 1)) * weights[:, -1:]).sum(axis=1)
        missing[rows, depth[rows]] = drawn
        trees[rows] += drawn - 1
        vertices[rows] -= 1
