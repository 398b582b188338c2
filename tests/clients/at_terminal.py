# SPDX-License-Identifier: Apache-2.0
"""usage: at_terminal.py TRANSCRIPT COMMAND...  < SCRIPT

Runs COMMAND at a terminal of its own, as a person would. A line of SCRIPT is `await REGEX` (in what the
terminal shows from there on), `send TEXT` (with Python's escapes: \\x03 is Ctrl-C), or `size ROWS COLUMNS`.
Prints how it ended: `exit N` or `signal N`, or `no REGEX` when what was awaited has not come in time.
"""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

SECONDS = 30
transcript, command = sys.argv[1], sys.argv[2:]
script = sys.stdin.read().splitlines()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown = b""
seen = 0


def read_some(seconds):
    global shown
    if not select.select([terminal], [], [], seconds)[0]:
        return True
    try:
        data = os.read(terminal, 65536)
    except OSError:
        data = b""
    shown += data
    return data != b""


def await_text(pattern):
    global seen
    deadline = time.monotonic() + SECONDS
    while True:
        match = re.search(pattern.encode(), shown[seen:])
        if match:
            seen += match.end()
            return True
        if time.monotonic() > deadline or not read_some(0.1):
            return False


outcome = None
for line in script:
    verb, _, rest = line.partition(" ")
    if verb == "await" and not await_text(rest):
        outcome = f"no {rest}"
        break
    if verb == "send":
        os.write(terminal, codecs.decode(rest, "unicode_escape").encode("latin-1"))
    if verb == "size":
        rows, columns = map(int, rest.split())
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
deadline = time.monotonic() + SECONDS
status = None
while outcome is None and status is None:
    read_some(0.02)
    ended, code = os.waitpid(pid, os.WNOHANG)
    if ended:
        status = code
        outcome = f"exit {os.WEXITSTATUS(code)}" if os.WIFEXITED(code) else f"signal {os.WTERMSIG(code)}"
    elif time.monotonic() > deadline:
        outcome = "no end"
while select.select([terminal], [], [], 0)[0] and read_some(0):
    pass
if status is None:
    os.kill(pid, signal.SIGKILL)
with open(transcript, "wb") as file:
    file.write(shown)
print(outcome)
