"""The equations of docstrings are in the notation that the documentation typesets."""

import ast
import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def equations(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs/_extensions")
    import equations

    yield equations
    del sys.modules["equations"]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("x", "x "),
        ("a_t + b_{t+1}", "a_{t} + b_{t +1}"),
        ("2^(1/T)", r"2^{1/T }"),
        ("M'^T w^r'_i", r"{M^{\prime}}^{\top}\,{w^{r}}^{\prime}_{i}"),
        ("sum_i w_i |M_i|^2", r"\sum_{i}\,w_{i} \left|M_{i}\right|^{2}"),
        ("sqrt(key_size) >= 1e-5", r"\sqrt{\mathrm{key\_size}} \ge  10^{-5}"),
        ("softmax_S(beta * h~)", r"\operatorname{softmax}_{S}\left(\beta  \odot  \tilde{h}\right)"),
        ("lambda_max Sigma_i", r"\lambda_{\mathrm{max}}\,\Sigma _{i}"),
        ("1.5e+3 - 2e-4", r"1.5 \cdot 10^{+3} - 2 \cdot 10^{-4}"),
        ("10,000 read modes", r"10{,}000\,\mathrm{read}\ \mathrm{modes}"),
    ],
)
def test_the_notation_in_latex(text, latex, equations):
    assert equations.latex(text) == latex


def test_a_block_has_sides_remarks_and_lines_that_go_on(equations):
    rows = equations.rows_of(
        "a = b,  c = d   + e      always, or so\n  = elu(x), divided by its length\n\n  + 1"
    )
    assert [(row.left.strip(), row.right.strip(), row.remark) for row in rows] == [
        ("a", r"=b ,\quad c  = d  + e", "always, or so"),
        ("", r"=\operatorname{elu}\left(x \right)", "divided by its length"),
        ("", "", ""),
        ("", "+ 1", ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "superloop train",
        'a = "b"',
        "x = (1",
        "x = 1)",
        "x = |a",
        "y = x^",
        "y = #",
        "W = A.T x",
        "y = .5 x",
        "y = x**2",
        "x *= 2",
        "sum_t=1^T x_t = y",
        "W = W^Tx",
        "y = x_t-1",
        "y = x_0:t",
        "x => y",
        "layer = keras.layers.Dense(4)",
        "x = self.config.depth",
        "y = sum_i=1..n x_i",
    ],
)
def test_what_is_no_equation_is_left_alone(text, equations):
    with pytest.raises(equations.Unreadable):
        equations.rows_of(text)


def blocks(docstring):
    """The literal blocks of a docstring."""
    for block in re.findall(r"::\n((?:\n|[ ]+.*\n?)+)", docstring):
        lines = block.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        yield dedent("\n".join(line for line in lines if not line or line.startswith(" " * indent)))


def test_every_equation_of_a_memory_or_cell_can_be_typeset(equations):
    read = 0
    for path in sorted(ROOT.glob("plugins/*/superloop_plugin_*/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and " = " in (docstring := ast.get_docstring(node) or ""):
                for block in blocks(docstring):
                    equations.rows_of(block)
                    read += 1
    assert read > 40
