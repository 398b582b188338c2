# SPDX-License-Identifier: Apache-2.0
"""Recorded exchanges, and what the meter says of them; for corpus_check and bounds_check."""
import json
import os
import subprocess
import sys
import tempfile
from decimal import Decimal

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HIDDEN = ("expected", "metering", "provider", "api", "streaming")


def files_of(names):
    for name in names:
        if not os.path.isdir(name):
            yield name
            continue
        for folder, _, files in sorted(os.walk(name)):
            yield from (os.path.join(folder, f) for f in sorted(files) if f.endswith(".json"))


def exchanges_of(names):
    read = (json.load(open(name), parse_float=Decimal) for name in files_of(names))
    return [e for e in read if isinstance(e, dict) and "metering" in e]


def as_json(value):
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(value)


def meter_run(program, exchanges):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as batch:
        for exchange in exchanges:
            bare = {k: v for k, v in exchange.items() if k not in HIDDEN}
            batch.write(json.dumps(bare, default=as_json) + "\n")
    try:
        run = subprocess.run([program, "meter", batch.name], stdout=subprocess.PIPE, text=True)
    finally:
        os.unlink(batch.name)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    if len(lines) != len(exchanges):
        sys.exit(f"{len(exchanges)} exchanges, but {len(lines)} answers")
    return lines
