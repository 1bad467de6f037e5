"""`python -m invtool` is `invtool`."""

from invtool.cli import main

main()
