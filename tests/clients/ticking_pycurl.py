# SPDX-License-Identifier: Apache-2.0
"""usage: ticking_pycurl.py ID COUNT

Asks what exchange ID asked, COUNT times at once, with CurlMulti, socket_action and a timer of its
own, whose every tick is a byte in the file `ticks`. Prints `N CODE CURL-CODE` in the order of N, and
keeps the bodies in answer.N.
"""
import select
import sys
import time

import pycurl
from exchange_pycurl import new_handle

TICK = 0.01
exchange_id, count = sys.argv[1], int(sys.argv[2])
poll = select.poll()
sockets = {}
deadline = None


def on_socket(what, fd, _multi, _data):
    if what == pycurl.POLL_REMOVE:
        if sockets.pop(fd, None) is not None:
            poll.unregister(fd)
        return
    events = (select.POLLIN if what & pycurl.POLL_IN else 0) | (select.POLLOUT if what & pycurl.POLL_OUT else 0)
    poll.register(fd, events)
    sockets[fd] = events


def on_timer(ms):
    global deadline
    deadline = None if ms < 0 else time.monotonic() + ms / 1000


multi = pycurl.CurlMulti()
multi.setopt(pycurl.M_SOCKETFUNCTION, on_socket)
multi.setopt(pycurl.M_TIMERFUNCTION, on_timer)
handles, results = [], {}
for i in range(1, count + 1):
    answer = open(f"answer.{i}", "wb")
    handle = new_handle(exchange_id, answer)
    handles.append((i, handle, answer))
    multi.add_handle(handle)
_, running = multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
ticks = open("ticks", "wb", buffering=0)
next_tick = time.monotonic()
while running:
    now = time.monotonic()
    if now >= next_tick:
        ticks.write(b".")
        next_tick = now + TICK
    until = next_tick if deadline is None else min(next_tick, deadline)
    for fd, event in poll.poll(max(0, until - now) * 1000):
        mask = (pycurl.CSELECT_IN if event & (select.POLLIN | select.POLLHUP) else 0) | (
            pycurl.CSELECT_OUT if event & select.POLLOUT else 0) | (pycurl.CSELECT_ERR if event & select.POLLERR else 0)
        _, running = multi.socket_action(fd, mask)
    if deadline is not None and time.monotonic() >= deadline:
        deadline = None
        _, running = multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
    _, good, bad = multi.info_read()
    results.update({id(handle): 0 for handle in good})
    results.update({id(handle): code for handle, code, _ in bad})
_, good, bad = multi.info_read()
results.update({id(handle): 0 for handle in good})
results.update({id(handle): code for handle, code, _ in bad})
for i, handle, answer in handles:
    print(i, handle.getinfo(pycurl.RESPONSE_CODE), results.get(id(handle), "none"))
    multi.remove_handle(handle)
    handle.close()
    answer.close()
multi.close()
