# SPDX-License-Identifier: Apache-2.0
"""usage: kernel_count.py FILE COMMAND...

Runs COMMAND and leaves in FILE what the kernel says that it wrote to disk, with all that it waited for:
bytes written minus bytes cancelled. Exits as COMMAND does.
"""
import subprocess
import sys


def written():
    with open("/proc/self/io", encoding="ascii") as io:
        fields = dict(line.split(": ") for line in io)
    return int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])


before = written()
code = subprocess.call(sys.argv[2:])
count = written() - before
with open(sys.argv[1], "w", encoding="ascii") as out:
    print(count, file=out)
sys.exit(code if code >= 0 else 128 - code)
