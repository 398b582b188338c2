# SPDX-License-Identifier: Apache-2.0
"""A pycurl handle that asks what a laid-out exchange asked, of the provider's real name."""
import os

import pycurl


def new_handle(exchange_id, body):
    """body: the file that the answer goes to."""
    folder = f"{os.environ['W']}/x/{exchange_id}"
    handle = pycurl.Curl()
    with open(f"{folder}/url", encoding="utf-8") as url:
        handle.setopt(pycurl.URL, url.read().strip())
    with open(f"{folder}/body", "rb") as request:
        handle.setopt(pycurl.POSTFIELDS, request.read())
    handle.setopt(pycurl.CONNECT_TO, [f"::127.0.0.1:{os.environ['HTTPS']}"])
    handle.setopt(pycurl.CAINFO, f"{os.environ['CERTS']}/ca.pem")
    handle.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json", f"X-Replay: {exchange_id}"])
    handle.setopt(pycurl.TIMEOUT, 120)
    handle.setopt(pycurl.WRITEDATA, body)
    return handle
