# SPDX-License-Identifier: Apache-2.0
"""usage: multi_pycurl.py ID COUNT

Asks what exchange ID asked, COUNT times at once, with CurlMulti. Prints `N CODE CURL-CODE` in the
order of N, and keeps the bodies in answer.N.
"""
import sys

import pycurl
from exchange_pycurl import new_handle

exchange_id, count = sys.argv[1], int(sys.argv[2])
multi = pycurl.CurlMulti()
handles = []
for i in range(1, count + 1):
    answer = open(f"answer.{i}", "wb")
    handle = new_handle(exchange_id, answer)
    handles.append((i, handle, answer))
    multi.add_handle(handle)
results = {}
running = count
while running:
    while True:
        status, running = multi.perform()
        if status != pycurl.E_CALL_MULTI_PERFORM:
            break
    _, good, bad = multi.info_read()
    results.update({id(handle): 0 for handle in good})
    results.update({id(handle): code for handle, code, _ in bad})
    if running:
        multi.select(1.0)
_, good, bad = multi.info_read()
results.update({id(handle): 0 for handle in good})
results.update({id(handle): code for handle, code, _ in bad})
for i, handle, answer in handles:
    print(i, handle.getinfo(pycurl.RESPONSE_CODE), results.get(id(handle), "none"))
    multi.remove_handle(handle)
    handle.close()
    answer.close()
multi.close()
