"""`python -m cli` is `grantkeeper`."""

from cli.main import main

if __name__ == "__main__":
    main()
