"""How ``python -m regrowth`` starts: as the command does."""

from regrowth.cli.main import main

if __name__ == "__main__":
    main()
