# SPDX-License-Identifier: Apache-2.0
# What systemd does for LoadCredential=ID:SOCKET, as far as the socket can tell: credentials.py SOCKET UNIT ID [HOW]
#     ask      connects from "\0RANDOM/unit/UNIT/ID", reads to the end; prints the content, or "refused" when there is too much of it
#     name     the same from the address UNIT, whatever it is; "none": from no address
#     uid      the same as uid ID
#     slow     waits for a line on standard input after the connection was made
import os
import socket
import sys

path, unit, ident = sys.argv[1:4]
how = sys.argv[4] if len(sys.argv) > 4 else "ask"
SYSTEMD_TAKES = 1 << 20

link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if how == "name":
    if unit != "none":
        link.bind("\0" + unit)
else:
    link.bind("\0%x/unit/%s/%s" % (int.from_bytes(os.urandom(8), "big"), unit, ident))
if how == "uid":
    os.setuid(65534)
try:
    link.connect(path)
    link.shutdown(socket.SHUT_WR)
    if how == "slow":
        print("connected", flush=True)
        sys.stdin.readline()
    content = b""
    while len(content) <= SYSTEMD_TAKES:
        part = link.recv(65536)
        if not part:
            break
        content += part
except OSError as error:
    print("error:", os.strerror(error.errno))
else:
    print("refused" if len(content) > SYSTEMD_TAKES else "content:" + content.decode())
