"""Write three data sets that packages bring along: digits, sunspots, and Python's own source code.

pip install scikit-learn statsmodels
python make_files.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from statsmodels.datasets import sunspots


def write_digits(path: Path) -> None:
    """1,797 digits of 8 x 8 pixels, to be read row by row (Alpaydin and Kaynak, 1998, UCI, CC BY 4.0)."""
    digits = load_digits()
    np.savez_compressed(path, pixels=digits.images.astype("float32"), digit=digits.target)


def write_sunspots(path: Path) -> None:
    """Mean number of sunspots in each year from 1700 to 2008 (SIDC, Royal Observatory of Belgium)."""
    path.write_text(sunspots.load_pandas().data.to_csv(index=False))


def write_python(path: Path, characters: int = 300_000) -> None:
    """The beginning of the source code of some modules of Python's standard library."""
    names = (
        "json.decoder",
        "json.encoder",
        "argparse",
        "csv",
        "textwrap",
        "string",
        "shutil",
        "pathlib",
        "ast",
    )
    folder = Path(json.__file__).parents[1]
    text = "".join((folder / f"{name.replace('.', '/')}.py").read_text("utf-8") for name in names)
    path.write_text("".join(c for c in text if c.isascii())[:characters], "utf-8")


if __name__ == "__main__":
    write_digits(Path("digits.npz"))
    write_sunspots(Path("sunspots.csv"))
    write_python(Path("python.txt"))
