"""Reading data from where it lives, against what the client libraries take for it alone.

    python benchmarks/ingest [--rounds 3] [--only kafka …]

A part is a module of this folder with `measured(rounds)`, which starts what it needs by itself and returns the wall and
the processor seconds by what is timed; its docstring says what that is. Prints a table for each part, and ends with one
line of JSON that holds the same figures.
"""

import argparse
import importlib
import json

PARTS = ("kafka", "postgresql")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    figures = {}
    for part in arguments.only:
        figures[part] = importlib.import_module(part).measured(arguments.rounds)
        print(f"{part:57}  wall s   cpu s")
        for what, (wall, processor) in figures[part].items():
            print(f"  {what:55}{wall:8.2f}{processor:8.2f}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
