"""`python -m lipsync_eval`: the command line."""

from lipsync_eval.cli import main

if __name__ == "__main__":
    main()
