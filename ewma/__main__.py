"""`python -m ewma`: the command `ewma-smooth`."""

from ewma_command import main

if __name__ == "__main__":
    main()
