"""``python -m scoresim`` is the command line."""

from scoresim.cli import main

if __name__ == "__main__":
    main()
