# SPDX-License-Identifier: Apache-2.0
"""usage: hooks.py FOLDER

Webhooks: writes its port to FOLDER/port, and of every POST a line to FOLDER/NAME, the last part of the
path: type, tab, body. /no/NAME answers 500; /hang/NAME reads and never answers; anything else 204."""

import http.server
import os
import sys
import threading

FOLDER = sys.argv[1]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(os.path.join(FOLDER, os.path.basename(self.path)), "a") as out:
            out.write(f"{self.headers['Content-Type']}\t{body}\n")
        if self.path.startswith("/hang/"):
            threading.Event().wait()
        self.send_response(500 if self.path.startswith("/no/") else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
with open(os.path.join(FOLDER, "port.new"), "w") as out:
    out.write(f"{server.server_port}\n")
os.rename(os.path.join(FOLDER, "port.new"), os.path.join(FOLDER, "port"))
server.serve_forever()
