#!/usr/bin/env python3
"""hashes.py DEBUG RELEASE SCENARIO: trace hashes depend on the seed and on nothing else."""
import json
import subprocess
import sys

debug, release, scenario = sys.argv[1:4]


def hashes(binary, seeds, jobs):
    arguments = ["sim", "--scenario", scenario, "--seeds", f"0..{seeds}", "--jobs", str(jobs)]
    done = subprocess.run([binary, *arguments, "--json", "-"], capture_output=True, text=True)
    return [run["trace_hash"] for run in json.loads(done.stdout)["runs"]]


first = hashes(release, 200, 1)
faults = []
for name, binary, jobs in [("release, 2 jobs", release, 2), ("debug, 1 job", debug, 1)]:
    equal = sum(one == other for one, other in zip(first, hashes(binary, 200, jobs)))
    print(f"{name}: {equal} of 200 hashes are those of release, 1 job")
    if equal != 200:
        faults.append(name)
different = len(set(hashes(release, 1000, 2)))
print(f"1000 seeds: {different} different hashes")
if different < 990:
    faults.append("seeds are alike")
for fault in faults:
    print(f"    FAULT {fault}")
sys.exit(1 if faults else 0)
