#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: tests/receipts/independent.py FILE...

Receipts by the judgement of others: Debian's python3-jsonschema on the public schemas, and their hash
by JavaScript (hashes.js). A line for whatever is wrong, then how many were looked at; exit 1 if any is."""
import json
import os
import re
import subprocess
import sys

from jsonschema import Draft202012Validator

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMAS = os.path.join(HERE, "../../docs/receipts")
NODE_MODULES = "/usr/share/nodejs"  # Debian's


def validators():
    """recordType -> its validator."""
    found = {}
    for name in os.listdir(SCHEMAS):
        if name.endswith(".schema.json"):
            with open(os.path.join(SCHEMAS, name), encoding="utf-8") as file:
                schema = json.load(file)
            Draft202012Validator.check_schema(schema)
            found[schema["properties"]["recordType"]["const"]] = Draft202012Validator(schema)
    return found


def receipts_of(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    documents = [json.loads(part) for part in re.split(r"\n+(?={)", text.strip())]
    return documents[0] if isinstance(documents[0], list) else documents


def against_schema(path, by_type):
    """What is wrong, a line each; how many receipts there are."""
    wrong = []
    receipts = receipts_of(path)
    for number, receipt in enumerate(receipts, 1):
        validator = by_type.get(receipt.get("recordType"))
        if validator is None:
            wrong.append(f"{path}: receipt {number}: is of no kind")
            continue
        wrong += [f"{path}: receipt {number}: {'.'.join(map(str, error.path))}: {error.message}"
                  for error in validator.iter_errors(receipt)]
    return wrong, len(receipts)


def against_hashes(paths):
    environment = dict(os.environ, NODE_PATH=NODE_MODULES)
    done = subprocess.run(["node", os.path.join(HERE, "hashes.js"), *paths], env=environment, check=False,
                          stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    return lines if done.returncode in (0, 1) and (done.returncode == 1) == (lines != []) \
        else [*lines, f"hashes.js: ends with {done.returncode}"]


def main(paths):
    by_type, wrong, count = validators(), [], 0
    for path in paths:
        lines, receipts = against_schema(path, by_type)
        wrong += lines
        count += receipts
    wrong += against_hashes(paths)
    print(*wrong, f"{count} receipts, {len(wrong)} wrong", sep="\n")
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
