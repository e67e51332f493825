"""The samples of a long run as a picture: what must not grow, over the hours."""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

PANELS = (
    ("memory_mb", "resident memory, MB"),
    ("descriptors", "open descriptors"),
    ("threads", "threads"),
    ("shadow_mb", "shadow WAL on disk, MB"),
    ("wal_mb", "-wal of the applications, MB"),
    ("file_replicas_mb", "file replicas on disk, MB"),
)
INCHES = (10, 9)


def main() -> int:
    """Draw FOLDER/samples.jsonl to FOLDER/soak.svg."""
    folder = Path(sys.argv[1])
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    hours = [sample["seconds"] / 3600 for sample in samples]
    plt.rcParams["svg.hashsalt"] = "soak"  # the same samples, the same picture
    figure, rows = plt.subplots(len(PANELS) // 2, 2, sharex=True, figsize=INCHES, layout="constrained")
    for axes, (name, title) in zip(rows.flat, PANELS, strict=True):
        axes.plot(hours, [sample[name] for sample in samples], linewidth=1)
        axes.set_ylim(bottom=0)
        axes.set_title(title, fontsize=10)
        axes.grid(visible=True, alpha=0.3)
    for axes in rows[-1]:
        axes.set_xlabel("hours")
    figure.savefig(folder / "soak.svg", metadata={"Date": None})
    print(folder / "soak.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
