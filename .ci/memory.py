#!/usr/bin/env python3
"""memory.py BINARY SCENARIO: the log keeps its bound, and memory does not grow with what was ordered.

The scenario orders one request a batch; it is run for half of its operations and for all of them, and
the peaks of the two processes are compared."""
import json
import os
import subprocess
import sys
import tempfile

binary, scenario = sys.argv[1:3]
text = open(scenario).read()
window = 64  # the default, which the scenario leaves as it is
faults = []


def peak(operations):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text.replace("= 100000", f"= {operations}"))
        file.flush()
        arguments = ["sim", "--scenario", file.name, "--json", "-"]
        child = subprocess.Popen(
            [binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = json.loads(child.stdout.read())
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        faults.append(f"exit {status >> 8}")
    log = said["peaks"]["log"]
    rss = usage.ru_maxrss / 1024
    print(f"{said['commits']} batches: log {log['value']} of {log['cap']}, peak memory {rss:.1f} MiB")
    if log["value"] > 2 * window:
        faults.append("the log is above two windows")
    return rss


half, whole = peak(50_000), peak(100_000)
print(f"growth from 50,000 to 100,000 batches: {100 * (whole / half - 1):.1f} %")
if whole > 1.05 * half:
    faults.append("memory grows")
for fault in faults:
    print(f"    FAULT {fault}")
sys.exit(1 if faults else 0)
