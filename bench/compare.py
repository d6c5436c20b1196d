#!/usr/bin/env python3
"""Rein beside its peers: the same work with the same number of threads, interleaved, median and spread.

usage: bench/compare.py [--bench build/release/bin/rein-bench] [--python PYTHON] [--repetitions N] [--threads N]

PYTHON is an interpreter that has torch, trl and transformers; a peer that cannot run is reported as not measured.
Results are compared before times are: a row whose checks differ is an error.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# Name, our benchmark, the peer's script, what items are.
WORK = [
    ("log-prob + entropy [1024, 32000]", "LogProbEntropyForward/ours", "log_prob_entropy.py", "rows/s", "TRL"),
    ("GAE, 512 responses", "Gae", "gae.py", "tokens/s", "PyTorch loop (TRL)"),
    ("tokenize 100 kB, scenes model", "Tokenize", "tokenize.py", "bytes/s", "tokenizers"),
    ("greedy decode, 32 prompts", "Decode", "generate.py", "tokens/s", "transformers generate"),
]


def ours(options, benchmark):
    command = [
        options.bench,
        f"--threads={options.threads}",
        f"--benchmark_filter=^{benchmark}(/real_time)?$",
        "--benchmark_format=json",
        "--benchmark_min_time=1",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(text)["benchmarks"][0]
    if result.get("error_occurred"):
        sys.exit(f"{benchmark}: {result['error_message']}")
    checks = {name: value for name, value in result.items() if name.startswith("check_")}
    return result["items_per_second"], checks


def peer(options, script, model):
    command = [options.python, HERE / "peers" / script, "--threads", str(options.threads), "--model", model]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        return None, last
    result = json.loads(run.stdout.strip().splitlines()[-1])
    return result["items_per_second"], result["checks"]


def require_equal(name, left, right):
    for key, value in right.items():
        if not math.isclose(left.get(key, math.nan), value, rel_tol=1e-3, abs_tol=1e-6):
            sys.exit(f"{name}: {key} is {left.get(key)} with Rein and {value} with the peer; nothing was timed")


def show(rates):
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} .. {max(rates):,.0f})"


def compare(options, name, benchmark, script, unit, peer_name, model):
    _, our_checks = ours(options, benchmark)
    rate, peer_checks = peer(options, script, model)
    if rate is not None:
        require_equal(name, our_checks, peer_checks)
    our_rates, peer_rates = [], []
    for _ in range(options.repetitions):
        our_rates.append(ours(options, benchmark)[0])
        if rate is not None:
            peer_rates.append(peer(options, script, model)[0])
    if rate is None:
        return f"| {name} | {unit} | {show(our_rates)} | {peer_name}: not measured ({peer_checks}) | - |"
    ratio = statistics.median(our_rates) / statistics.median(peer_rates)
    return f"| {name} | {unit} | {show(our_rates)} | {peer_name}: {show(peer_rates)} | {ratio:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=str(HERE.parent / "build/release/bin/rein-bench"))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print("| work | unit | Rein: median (min .. max) | peer: median (min .. max) | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model = str(pathlib.Path(folder) / "scenes")
        subprocess.run([options.bench, f"--write_model={model}"], check=True)
        for work in WORK:
            print(compare(options, *work, model), flush=True)


if __name__ == "__main__":
    main()
