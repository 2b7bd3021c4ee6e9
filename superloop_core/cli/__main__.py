"""``python -m superloop_core.cli``: the command line, where its script is not on the path."""

from superloop_core.cli import main

main()
