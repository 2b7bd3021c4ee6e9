r"""The notation of equations in docstrings, which are read in a terminal too; translates it to LaTeX.

A block of equations is a literal block (``::``) in a docstring. Each line is an equation, with a remark after
three spaces; one that begins with ``=`` or another operator goes on from the line before::

    W~   = decay W diag(alpha)                     once in a timestep
    W'   = W~ + beta (value - W~ k) k^T            delta rule
         = W~ + beta value k^T                     sum rule

The notation:

- names of Greek letters; other names of several letters stand upright, as words, functions and settings do;
- ``x_i``, ``x_{t+1}``, ``x^2``, ``x^(1/T)``, ``M^T`` (transposed), ``x'`` (the next one), ``h~``;
- ``a * b`` is element by element, ``a . b`` a scalar product, and ``a b`` a product;
- ``sum_i``, ``prod_i``, ``sqrt(x)``, ``|x|``, ``<=``, ``>=``, ``->``, ``<-`` (assigned), ``...``, ``1e-5``;
- a comma and two spaces separate equations of one line.

What cannot be read so stays in monospace.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

GREEK = {
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega",
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip
LARGE = {"sum": r"\sum", "prod": r"\prod"}
SIGNS = {
    "<-": r"\gets ", "<=": r"\le ", ">=": r"\ge ", "->": r"\to ",
    "...": r"\dots ", "*": r"\odot ", ".": r"\cdot ", ";": r"\,;\ ",
}  # fmt: skip
OPERATORS = set("*/.=<>")
TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?)"
    r"|(?P<name>(?:sum|prod)(?=_)|[A-Za-z]{2,}(?:_[a-z]{2,})+|[A-Za-z]+)"
    r"|(?P<sign><-|<=|>=|->|\.\.\.|[-+*/.=<>,:;|])|(?P<open>[(\[])|(?P<close>[)\]])|(?P<after>['~_^])"
)
RELATION = re.compile(r"(?<![<>=])=(?!=)|<-")


class Row(NamedTuple):
    """A line of a block: LaTeX of both sides, and a remark in plain text."""

    left: str
    right: str
    remark: str


class Unreadable(ValueError):
    """Text that is no equation in this notation."""


def rows_of(block: str) -> list[Row]:
    """Return the rows of a block of equations; an empty line is a row of nothing.

    Raises:
        Unreadable: it is none.
    """
    lines = [line.rstrip() for line in block.strip("\n").splitlines()]
    if not any(RELATION.search(line) for line in lines):
        raise Unreadable("no '=' in it")
    return [_row(line) for line in lines]


def _row(line: str) -> Row:
    if not line:
        return Row("", "", "")
    relation = RELATION.search(line)
    left, rest = (line[: relation.start()], line[relation.end() :]) if relation else ("", line)
    if relation and (left[-1:].strip() or not rest.startswith(" ")):
        raise Unreadable(line)  # no equation: sum_t=1, x *= 2
    right, _, remark = re.sub(r"(?<![,\s])\s{3,}(?![-+*/.=<>\s])", "\0", rest.strip()).partition("\0")
    right, prose = _without_prose(right)
    sign = SIGNS.get(relation[0], relation[0]) if relation else ""
    return Row(latex(left), sign + latex(right), "; ".join(filter(None, (prose, remark))))


def _without_prose(text: str) -> tuple[str, str]:
    """Split off a sentence that follows an equation after a comma: ``elu(x) + 1, divided by its length``."""
    for match in re.finditer(", ", text):
        before, after = text[: match.start()], text[match.end() :]
        words = [word for word in after.split() if len(word) > 1 and word.isalpha() and word not in GREEK]
        if len(words) >= 3 and before.count("(") == before.count(")"):
            return before, after
    return text, ""


def latex(text: str) -> str:
    """Return the LaTeX of one side of an equation.

    Raises:
        Unreadable: it is not in this notation.
    """
    tokens = list(_tokens(text.strip()))
    made, rest = _sequence(tokens, 0, None)
    if rest != len(tokens):
        raise Unreadable(text)
    return made


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        if text[place] == "{" and place and text[place - 1] in "_^":
            end = text.find("}", place)
            if end < 0:
                raise Unreadable(text)
            yield "group", text[place + 1 : end]
            place = end + 1
            continue
        match = TOKEN.match(text, place)
        if match is None:
            raise Unreadable(text)
        yield str(match.lastgroup), match[0]
        place = match.end()


def _sequence(tokens: list[tuple[str, str]], place: int, closing: str | None) -> tuple[str, int]:
    """Return the LaTeX up to a closing bracket, and the place after it."""
    made: list[str] = []
    while place < len(tokens):
        kind, text = tokens[place]
        if kind == "close" or text == closing == "|":
            if closing is None:
                raise Unreadable(text)
            return "".join(made), place + 1
        if kind == "space":
            made.append(_space(*tokens[place - 1 : place + 2]))
            place += 1
        elif kind == "sign" and text != "|":
            _require_sign(tokens, place)
            made.append(SIGNS.get(text, text))
            place += 1
        elif kind in ("name", "number", "open", "sign"):
            atom, place = _atom(tokens, place)
            made.append(atom)
        else:
            raise Unreadable(text)
    if closing is not None:
        raise Unreadable(closing)
    return "".join(made), place


def _require_sign(tokens: list[tuple[str, str]], place: int) -> None:
    """Refuse signs of code: ``a.b``, ``.5``, ``x**2``; and those that a script may be meant to go on to."""
    text = tokens[place][1]
    before, after = (tokens[at] if 0 <= at < len(tokens) else ("space", " ") for at in (place - 1, place + 1))
    edges = {"space", "open", "close"}
    if text == "." and not (before[0] in edges and after[0] in edges):
        raise Unreadable(text)
    if before[1] in OPERATORS and text in OPERATORS:
        raise Unreadable(text)
    of_script = place >= 2 and tokens[place - 2][1] in ("_", "^") and before[0] in ("name", "number")
    if of_script and text in ("-", "+", ":"):
        raise Unreadable(text)


def _space(before: tuple[str, str], space: tuple[str, str], after: tuple[str, str]) -> str:
    """Return the space between two tokens: equations, words, or factors of a product."""
    if before[1] == "," and len(space[1]) > 1:
        return r"\quad "
    words = [kind == "name" and len(text) > 1 and text not in GREEK for kind, text in (before, after)]
    if all(words):
        return r"\ "
    ends = before[0] in ("name", "number", "close", "after", "group")
    return r"\," if ends and after[0] in ("name", "number", "open") else " "


def _atom(tokens: list[tuple[str, str]], place: int) -> tuple[str, int]:
    """Return a name, number or bracket with its marks: ``w^r'_i``."""
    kind, text = tokens[place]
    if kind in ("open", "sign"):  # a bracket, or a bar
        inner, place = _sequence(tokens, place + 1, text)
        end = tokens[place - 1][1]
        core = rf"\left{text}{inner}\right{end}"
    elif text == "sqrt" and tokens[place + 1 : place + 2] == [("open", "(")]:
        inner, place = _sequence(tokens, place + 2, "(")
        core = rf"\sqrt{{{inner}}}"
    else:
        in_words = [text for _, text in tokens[place + 1 : place + 3]] == [" ", "of"]  # sum of s above i
        core = _number(text) if kind == "number" else _name(text, _is_called(tokens, place), in_words)
        place += 1
    marks: dict[str, str] = {}
    while place < len(tokens) and tokens[place][0] == "after":
        mark = tokens[place][1]
        where = "^" if mark == "'" else mark
        if where == "~":
            core, place = rf"\tilde{{{core}}}", place + 1
            continue
        if where in marks:  # a mark of what is marked already
            core, marks = f"{{{core}{_marked(marks)}}}", {}
        if mark == "'":
            marks["^"], place = r"\prime", place + 1
        else:
            marks[where], place = _script(tokens, place + 1, mark)
    return core + _marked(marks) + (" " if core[-1:].isalpha() and not marks else ""), place


def _is_called(tokens: list[tuple[str, str]], place: int) -> bool:
    """Whether a name is that of a function, as in ``f(x)`` and ``softmax_S(x)``; no large sign is."""
    after = [text for _, text in tokens[place + 1 : place + 4]]
    return after[:1] == ["("] or (after[:1] == ["_"] and after[2:] == ["("])


def _marked(marks: dict[str, str]) -> str:
    return "".join(f"{where}{{{script}}}" for where, script in marks.items())


def _script(tokens: list[tuple[str, str]], place: int, mark: str) -> tuple[str, int]:
    """Return what stands below or above, and the place after it."""
    kind, text = tokens[place] if place < len(tokens) else ("", "")
    if kind == "group":
        return latex(text), place + 1
    if kind == "open" and mark == "^":
        inner, place = _sequence(tokens, place + 1, text)
        return inner, place
    if kind == "sign" and text == "-" and mark == "^":
        inner, place = _script(tokens, place + 1, mark)
        return f"-{inner}", place
    if kind == "name":
        if mark == "^" and len(text) > 1 and text not in GREEK:
            raise Unreadable(text)  # W^Tx
        return (r"\top" if text == "T" and mark == "^" else _script_name(text)), place + 1
    if kind == "number":
        return text, place + 1
    raise Unreadable(mark)


def _script_name(text: str) -> str:
    """Return a name below or above: the letters ``ij`` are two indices."""
    return text if text in ("ij", "ik", "kj") else _name(text).strip()


def _name(text: str, called: bool = False, in_words: bool = False) -> str:
    if text in LARGE and not in_words:
        return LARGE[text]
    base, _, script = text.partition("_")
    if base in GREEK and script:
        return rf"\{base}_{{{_script_name(script)}}}"
    if text in GREEK:
        return f"\\{text} "
    if len(text) == 1:
        return text
    escaped = text.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}" if called else rf"\mathrm{{{escaped}}}"


def _number(text: str) -> str:
    mantissa, exponent, power = text.partition("e")
    if not exponent:
        return text.replace(",", "{,}")
    return f"10^{{{power}}}" if mantissa == "1" else rf"{mantissa} \cdot 10^{{{power}}}"
