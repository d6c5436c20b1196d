"""What the peers share: inputs by the formulas of bench/inputs.h, and the one line of JSON they print."""

import argparse
import json
import time


def pattern(i, j):
    """In [-0.5, 0.5); also works on arrays."""
    return (i * 131 + j * 71) % 1009 / 1009 - 0.5


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--work", help="what of the script's work is measured")
    parser.add_argument("--shape", help="on which input")
    parser.add_argument("--model", help="folder written by rein-bench --write_model")
    return parser.parse_args()


def report(run, items, checks, seconds=1.0):
    """Times `run` for about `seconds` after one warm-up and prints items a second with the checks."""
    run()
    rounds, start = 0, time.perf_counter()
    while rounds == 0 or time.perf_counter() - start < seconds:
        run()
        rounds += 1
    elapsed = time.perf_counter() - start
    print(json.dumps({"items_per_second": rounds * items / elapsed, "checks": checks}))
