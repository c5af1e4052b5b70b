# SPDX-License-Identifier: Apache-2.0
"""What the scripts here print: a table, and one JSON object a line into the file $OUT."""
import json
import os

out = open(os.environ["OUT"], "w")


def note(row):
    out.write(json.dumps(row) + "\n")
    out.flush()


def say(figure, value, unit, against=None, what="", aim=None):
    row = {"figure": figure, "value": round(value, 2), "unit": unit}
    text = f"{figure:<44}{value:>10.2f} {unit:<4}"
    if against:
        row |= {"against": round(against, 2), "against_what": what, "ratio": round(value / against, 3)}
        text += f"{against:>10.2f} {unit:<4}{value / against:>7.2f} x"
    if aim:
        row |= {"aim": aim, "met": (value / against if against else value) <= aim}
        text += f"   aim {aim:g}{'' if row['met'] else '  MISSED'}"
    print(f"{text}   {what}".rstrip(), flush=True)
    note(row)
