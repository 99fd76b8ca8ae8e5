"""`python -m rfctl` is the same as `rfctl`."""

from rfctl.cli import main

if __name__ == "__main__":
    main()
