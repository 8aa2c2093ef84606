"""The benchmark: `python -m tests.bench` measures vidclf on clips that it makes, and prints one table.

It is no test: nothing here fails because a machine is slow. Run it from the repository's root.
"""
