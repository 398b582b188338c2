# SPDX-License-Identifier: Apache-2.0
"""usage: easy_pycurl.py ID COUNT

Asks what exchange ID asked, up to COUNT times in one process, on one handle. Stops at the first
answer that is not 200. Prints `N CODE CURL-CODE`, and keeps the bodies in answer.N.
"""
import sys

import pycurl
from exchange_pycurl import new_handle

exchange_id, count = sys.argv[1], int(sys.argv[2])
for i in range(1, count + 1):
    with open(f"answer.{i}", "wb") as answer:
        handle = new_handle(exchange_id, answer)
        result = 0
        try:
            handle.perform()
        except pycurl.error as error:
            result = error.args[0]
        code = handle.getinfo(pycurl.RESPONSE_CODE)
        handle.close()
    print(i, code, result, flush=True)
    if code != 200:
        break
