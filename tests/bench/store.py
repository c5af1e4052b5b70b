#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a table of what tests/bench/store.sh measured: store.py FILE FEW MANY."""
import sys

from figures import say

path, few, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = [line.split() for line in open(path)]
reads = {(row[1], int(row[2])): float(row[3]) for row in rows if row[0] == "read"}
gets = {(row[1], int(row[2]), int(row[3])): int(row[4]) / float(row[5]) * 1000 for row in rows if row[0] == "gets"}
shakes = {row[1]: (float(row[2]), float(row[3])) for row in rows if row[0] == "handshakes"}
for store in ("directory", "postgresql"):
    say(f"{store}: a read among {many:,}", reads[store, many], "us", reads[store, few], f"among {few:,}, decrypted; no HTTP", 1.25)
    for connections in (1, 8, 64):
        # As times, so that less is better as elsewhere.
        say(f"{store}: a GET, {connections} connections, {many:,}", 1e3 / gets[store, many, connections], "ms",
            1e3 / gets[store, few, connections], f"among {few:,}; {gets[store, many, connections]:.0f} a second", 1.25)
    say(f"{store}: handshakes a second", shakes[store][0], "", what=f"8 clients in one Python process, p50 {shakes[store][1]} ms of /auth and /attest")
