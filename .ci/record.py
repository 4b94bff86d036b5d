#!/usr/bin/env python3
"""record.py FILE NAME EXIT EXPECTED: checks one JSON record of the nightly run and prints its line."""
import json
import sys

PIPELINE = """throughput_tx_per_s goodput_tx_per_s cpu_us_per_tx floor_cpu_us_per_tx limit_share
yardstick_share wall_limit_share rejected_requests allocations_per_tx first_commit_after_stop_ns
generator_pool_bytes response_time_ns_p50 response_time_ns_p90 response_time_ns_p99
response_time_ns_p999 response_time_ns_max service_time_ns_p50 service_time_ns_p90
service_time_ns_p99 service_time_ns_p999 service_time_ns_max commit_first_ns_p50
commit_quorum_ns_p50 commit_last_ns_p50 intended sent completed dropped signatures_verified_per_tx
messages_per_batch bytes_per_tx view_changes peak_rss_bytes cpu_share""".split()
SHOWN = """throughput_tx_per_s cpu_us_per_tx limit_share yardstick_share wall_limit_share
response_time_ns_p50 response_time_ns_p99 signatures_verified_per_tx messages_per_batch
rejected_requests duplicates cpu_us_per_signature ratio_to_dalek hashes_per_s cpu_ns_per_hash
leaves_per_s leaves_per_cpu_s cpu_share""".split()

# What the main job owes on two quiet cores: metric, least, most.
EXPECT = {
    "pbft-signature-memory": [("limit_share", 0.5, None), ("yardstick_share", 0.5, None),
                              ("signatures_verified_per_tx", 4, 4), ("messages_per_batch", 24, 24)],
    "pbft-signature-tcp": [("signatures_verified_per_tx", 4, 4)],
    "pbft-n7": [("signatures_verified_per_tx", 7, 7)],
    "pbft-silent": [("signatures_verified_per_tx", 3, 3)],
    "pbft-invalid": [("rejected_requests", 1, None)],
    "signature-batch-256x4": [("cpu_us_per_signature", None, 11)],
    "pow-miner-1": [("hashes_per_s", 10e6, None)],
    "merkle-root-1": [("leaves_per_cpu_s", 6e6, None)],
}

path, name, code, expected = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
record = json.load(open(path))
metrics = record["metrics"]
faults = []
if code != expected:
    faults.append(f"exit {code}, expected {expected}: {record.get('verdict_reason')}")
if record["scenario"].endswith("/pipeline"):
    faults += [f"{metric} is missing" for metric in PIPELINE if metric not in metrics]
for metric, least, most in EXPECT.get(name, []):
    value = metrics.get(metric)
    if value is None or (least and value < least * 0.9999) or (most and value > most * 1.0001):
        faults.append(f"{metric} = {value}, owed is {least} to {most}")
for check, outcome in record["oracle"].items():
    if not outcome["evaluated"]:
        faults.append(f"{check} was never evaluated")
    if outcome["violated"]:
        faults.append(f"{check} violated: {outcome['first_violation']}")
figures = ", ".join(f"{key} {metrics[key]:.6g}" for key in SHOWN if metrics.get(key) is not None)
print(f"{name}: {record['verdict']}; {figures}" + "".join(f"\n    FAULT {fault}" for fault in faults))
sys.exit(1 if faults else 0)
