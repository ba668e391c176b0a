"""The `bothub` command."""

from hub.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
