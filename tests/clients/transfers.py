# SPDX-License-Identifier: Apache-2.0
"""usage: transfers.py BASE-URL

Transfers that are no calls, in the ways that libcurl has: one handle again and again, uploads, chunks, a
form, a redirect, many at a time, one that is taken out before it began, one that cannot connect; in this
process, in a thread, and in a child. Prints what failed.
"""
import os
import sys
import threading

import pycurl

base = sys.argv[1]


def handle(path="/plain", **options):
    made = pycurl.Curl()
    made.setopt(pycurl.URL, base + path)
    made.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    for name, value in options.items():
        made.setopt(getattr(pycurl, name), value)
    return made


def one_after_the_other():
    again = handle()
    for size in (10, 3000, 3000, 0):
        again.setopt(pycurl.POSTFIELDS, "x" * size)
        again.perform()
    again.setopt(pycurl.HTTPGET, 1)
    again.perform()
    again.perform()
    again.close()


def bodies():
    left = [50000]

    def read(size):
        given = min(size, left[0])
        left[0] -= given
        return b"y" * given

    upload = handle("/upload", UPLOAD=1, READFUNCTION=read, INFILESIZE=50000)
    upload.perform()
    left[0] = 50000
    chunks = handle("/chunks", UPLOAD=1, READFUNCTION=read)
    chunks.perform()
    form = handle("/form", HTTPPOST=[("field", "z" * 5000)])
    form.perform()


def at_once():
    multi = pycurl.CurlMulti()
    handles = [handle(POSTFIELDS="m" * size) for size in (0, 1000, 2000, 40000)]
    unborn = handle(POSTFIELDS="n" * 1000)
    for one in handles + [unborn]:
        multi.add_handle(one)
    multi.remove_handle(unborn)
    running = 1
    while running:
        _, running = multi.perform()
        multi.select(1.0)
    multi.info_read()
    for one in handles:
        multi.remove_handle(one)
    handles[3].perform()
    unborn.close()
    multi.close()


def nowhere():
    try:
        handle(URL="http://127.0.0.1:1/", POSTFIELDS="w" * 1000).perform()
    except pycurl.error:
        pass


one_after_the_other()
bodies()
at_once()
nowhere()
thread = threading.Thread(target=one_after_the_other)
thread.start()
bodies()
thread.join()
kept = handle(POSTFIELDS="k" * 500)
kept.perform()
child = os.fork()
if child == 0:
    kept.close()
    one_after_the_other()
    os._exit(0)
if os.waitpid(child, 0)[1] != 0:
    print("the child failed")
