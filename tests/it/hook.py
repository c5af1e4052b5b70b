# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks for tests: hook.py PORT-FILE EVENTS-FILE TOKEN. One JSON object a line; refuses (500) the first of each event."""
import http.server
import json
import os
import sys

port_file, events_file, token = sys.argv[1:]
seen = set()


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = (event["event"], event["agent"], event["time"])
        status = 401 if self.headers["Authorization"] != f"Bearer {token}" else 200 if key in seen else 500
        seen.add(key)
        if status == 200:
            with open(events_file, "a", encoding="utf-8") as out:
                out.write(json.dumps(event) + "\n")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
with open(port_file + ".new", "w", encoding="utf-8") as out:
    out.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()
