"""Texts as tokens: tokenizers, and the vocabulary that is learned from training examples."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import attrs
import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import cut
from superloop_plugin_data.extras import import_extra

UNKNOWN = 0  # the number of every token that is not in the vocabulary
UNKNOWN_NAME = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """Makes tokens of a text, and numbers of them."""

    def learn(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary from training texts, if it is not fixed."""

    def numbers(self, text: str) -> np.ndarray:
        """Return the numbers of a text's tokens, ``(tokens,)`` of int32."""

    @property
    def names(self) -> Sequence[str]:
        """The tokens by number."""


def make_tokenizer(tokens: str, max_tokens: int) -> Tokenizer:
    """Return a tokenizer.

    Args:
        tokens: ``characters``, ``words``, or the path of a ``tokenizer.json``.
        max_tokens: the largest size of a vocabulary that is learned.

    Raises:
        ConfigError: there is no such file, or it is not valid.
    """
    if tokens in ("characters", "words"):
        return Vocabulary(words=tokens == "words", max_tokens=max_tokens)
    if not tokens.endswith(".json"):
        raise ConfigError(f"'tokens' must be characters, words, or the path of a tokenizer.json: {tokens!r}")
    return FromFile(Path(tokens))


@attrs.define
class Vocabulary:
    """Characters, or words between spaces with punctuation apart, by frequency in training; 0 is all others.

    Args:
        words: whether tokens are words.
        max_tokens: the largest number of tokens, that of all others included.
    """

    words: bool
    max_tokens: int
    names: list[str] = attrs.field(factory=lambda: [UNKNOWN_NAME])
    _numbers: dict[str, int] = attrs.field(factory=dict, init=False)

    def learn(self, texts: Iterable[str]) -> None:
        """Learn the tokens; among equally frequent ones, those that sort first."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self._split(text))
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        self.set_names([UNKNOWN_NAME, *ranked[: self.max_tokens - 1]])

    def set_names(self, names: Sequence[str]) -> None:
        """Take over a vocabulary."""
        self.names = list(names)
        self._numbers = {name: number for number, name in enumerate(names)}

    def numbers(self, text: str) -> np.ndarray:
        """Return the tokens' numbers."""
        return np.array([self._numbers.get(token, UNKNOWN) for token in self._split(text)], "int32")

    def _split(self, text: str) -> Iterable[str]:
        if not self.words:
            return text
        spaced = "".join(c if c.isalnum() or c.isspace() or c in "'_" else f" {c} " for c in text)
        return spaced.split()


class FromFile:
    """A tokenizer of the package ``tokenizers``, from its ``tokenizer.json``; nothing is learned."""

    def __init__(self, path: Path):
        tokenizers = import_extra("tokenizers", "tokenizers", str(path))
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
        except Exception as error:  # the package's
            raise ConfigError(f"{path}: cannot be read as a tokenizer: {cut(str(error), 200)}") from error
        count = self._tokenizer.get_vocab_size()
        self.names = [self._tokenizer.id_to_token(number) or "" for number in range(count)]

    def learn(self, texts: Iterable[str]) -> None:
        """Learn nothing."""

    def numbers(self, text: str) -> np.ndarray:
        """Return the tokens' numbers."""
        return np.array(self._tokenizer.encode(text).ids, "int32")
