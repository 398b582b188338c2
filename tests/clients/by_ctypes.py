# SPDX-License-Identifier: Apache-2.0
"""usage: by_ctypes.py easy|multi ID COUNT

As easy_pycurl.py and multi_pycurl.py, through ctypes: libcurl's functions are fetched by dlsym.
"""
import ctypes
import os
import sys

URL, POSTFIELDS, POSTFIELDSIZE, HTTPHEADER = 10002, 10015, 60, 10023
CAINFO, CONNECT_TO, WRITEFUNCTION, WRITEDATA, TIMEOUT = 10065, 10243, 20011, 10001, 13
RESPONSE_CODE = 0x200002
WRITER = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t,
                          ctypes.c_void_p)

curl = ctypes.CDLL("libcurl.so.4")
for name in ("curl_easy_init", "curl_multi_init", "curl_slist_append", "curl_multi_info_read"):
    getattr(curl, name).restype = ctypes.c_void_p


class Message(ctypes.Structure):
    _fields_ = [("msg", ctypes.c_int), ("easy", ctypes.c_void_p), ("result", ctypes.c_int)]


def list_of(*texts):
    head = None
    for text in texts:
        head = curl.curl_slist_append(ctypes.c_void_p(head), text.encode())
    return ctypes.c_void_p(head)


def setopt(handle, option, value):
    if isinstance(value, bytes):
        value = ctypes.c_char_p(value)
    elif isinstance(value, int):
        value = ctypes.c_long(value)
    assert curl.curl_easy_setopt(handle, option, value) == 0, option


class Call:
    def __init__(self, exchange_id):
        folder = f"{os.environ['W']}/x/{exchange_id}"
        with open(f"{folder}/url", "rb") as url, open(f"{folder}/body", "rb") as body:
            self.url, self.request = url.read().strip(), body.read()
        self.answer = b""
        self.writer = WRITER(self.write)
        self.handle = ctypes.c_void_p(curl.curl_easy_init())
        setopt(self.handle, URL, self.url)
        setopt(self.handle, POSTFIELDSIZE, len(self.request))
        setopt(self.handle, POSTFIELDS, self.request)
        setopt(self.handle, HTTPHEADER,
               list_of("Content-Type: application/json", f"X-Replay: {exchange_id}"))
        setopt(self.handle, CONNECT_TO, list_of(f"::127.0.0.1:{os.environ['HTTPS']}"))
        setopt(self.handle, CAINFO, f"{os.environ['CERTS']}/ca.pem".encode())
        setopt(self.handle, WRITEFUNCTION, self.writer)
        setopt(self.handle, TIMEOUT, 120)

    def write(self, data, size, count, _):
        self.answer += ctypes.string_at(data, size * count)
        return size * count

    def ended(self, i, result):
        code = ctypes.c_long()
        curl.curl_easy_getinfo(self.handle, RESPONSE_CODE, ctypes.byref(code))
        with open(f"answer.{i}", "wb") as answer:
            answer.write(self.answer)
        curl.curl_easy_cleanup(self.handle)
        print(i, code.value, result, flush=True)
        return code.value


def easy(exchange_id, count):
    for i in range(1, count + 1):
        call = Call(exchange_id)
        if call.ended(i, curl.curl_easy_perform(call.handle)) != 200:
            return


def multi(exchange_id, count):
    whole = ctypes.c_void_p(curl.curl_multi_init())
    calls = [Call(exchange_id) for _ in range(count)]
    for call in calls:
        assert curl.curl_multi_add_handle(whole, call.handle) == 0
    results, running, queued = {}, ctypes.c_int(1), ctypes.c_int()
    while running.value:
        assert curl.curl_multi_perform(whole, ctypes.byref(running)) == 0
        while message := curl.curl_multi_info_read(whole, ctypes.byref(queued)):
            message = Message.from_address(message)
            results[message.easy] = message.result
        if running.value:
            curl.curl_multi_poll(whole, None, 0, 1000, None)
    for i, call in enumerate(calls, 1):
        curl.curl_multi_remove_handle(whole, call.handle)
        call.ended(i, results.get(call.handle.value, "none"))
    curl.curl_multi_cleanup(whole)


{"easy": easy, "multi": multi}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
