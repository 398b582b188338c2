# SPDX-License-Identifier: Apache-2.0
"""The agent of a scenario. Reads what to do from its stdin, a line of JSON each: a list of calls that are asked side by
side, {"argv", "answer"} each, where argv is a client that prints `N CODE CURL-CODE` and writes the body into the file
answer; or a text, which is a command for the shell. Tells the ends of the calls, or the exit code, on its stdout."""
import json
import subprocess
import sys


def body_of(name):
    try:
        with open(name, "rb") as answer:
            return json.loads(answer.read())
    except (OSError, ValueError):
        return None


for line in sys.stdin:
    calls = json.loads(line)
    if isinstance(calls, str):
        print(subprocess.call(["/bin/sh", "-c", calls], stdin=subprocess.DEVNULL, stdout=sys.stderr), flush=True)
        continue
    clients = [subprocess.Popen(call["argv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for call in calls]
    ends = []
    for call, client in zip(calls, clients):
        said = client.communicate()[0].split()
        ends.append({"code": int(said[1]) if len(said) > 1 else 0, "curl": int(said[2]) if len(said) > 2 else client.returncode,
                     "body": body_of(call["answer"])})
    print(json.dumps(ends), flush=True)
