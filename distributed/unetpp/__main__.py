"""`python -m unetpp` is the `unetpp` command."""

from unetpp.cli.main import main

if __name__ == "__main__":
    main()
