"""`python -m acutance` is the program `acutance`, where that is not on the path."""

from acutance.cli.main import run

if __name__ == "__main__":
    run()
