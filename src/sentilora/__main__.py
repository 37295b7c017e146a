"""`python -m sentilora`: the command where its script isn't on the path."""

from sentilora.cli import main

if __name__ == "__main__":
    main()
