"""Build every distribution, check it, and install superloop-core[all] from what was built.

python tests/build_distributions.py FOLDER
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command: object) -> None:
    """Run a command; fail where it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True)


def main(folder: Path) -> None:
    """Build, check, install and try."""
    shutil.rmtree(folder, ignore_errors=True)
    sources = [ROOT, *sorted((ROOT / "plugins").iterdir())]
    for source in sources:
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    built = sorted(folder.iterdir())
    assert len(built) == 2 * len(sources), built  # a wheel and an sdist of each
    wheels = [path for path in built if path.suffix == ".whl"]
    run(sys.executable, "-m", "twine", "check", "--strict", *built)
    run("check-wheel-contents", *wheels)
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", folder / "venv")
    (core,) = (path for path in wheels if path.name.startswith("superloop_core-"))
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--find-links",
        folder,
        f"superloop-core[all] @ {core.as_uri()}",
    )
    run(python, "-m", "superloop_core.cli", "plugins")
    run(python, "-m", "superloop_core.cli", "validate", ROOT / "docs/examples/last_two_before_nine.toml")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
