#!/usr/bin/env python3
"""study.py FOLDER: one page of the tables of a scaling study's sweeps; keeps their records small."""
import json
import pathlib
import sys

PAGE = """# Scaling study

One parameter of `pbft/pipeline` at a time, all else at its default where nothing else is said; medians
of three trials of 1.5 s. `.ci/nightly study` makes it anew. As one page with charts, offline:

```sh
quorumark report {folder} --html study.html
```

Why the curves have their shape: [METHODOLOGY](../../../METHODOLOGY.md#the-scaling-study).
"""


# Of every axis alike.
COMMON = ("--duration", "--warmup", "--repeat", "--seed")


def own_settings(shared):
    """What the command of a sweep sets besides, as one would write it."""
    pairs = zip(shared[2::2], shared[3::2])
    return " ".join(f"{flag} {value}" for flag, value in pairs if flag not in COMMON)


def main():
    folder = pathlib.Path(sys.argv[1])
    parts = [PAGE.format(folder=folder)]
    for plan in sorted(folder.glob("*/sweep.json")):
        axis = plan.parent
        own = own_settings(json.loads(plan.read_text())["shared"])
        commits = set()
        for file in sorted(axis.glob("*/record.json")):
            record = json.loads(file.read_text())
            commits.add(record["provenance"]["commit"][:12])
            file.write_text(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")
        for name in ("latency.hlog", "samples.jsonl"):
            for file in axis.glob(f"*/{name}"):
                file.unlink()
        table = axis / "table.md"
        also = f", with `{own}`" if own else ""
        head = f"\n## {axis.name}\nAt commit {', '.join(sorted(commits))}{also}.\n\n"
        parts.append(head + table.read_text())
    (folder / "README.md").write_text("".join(parts))
    print(f"{len(parts) - 1} axes: {folder / 'README.md'}")


main()
