"""`python -m vidclf_cli` is `vidclf`."""

from vidclf_cli.cli import main

if __name__ == "__main__":
    main()
