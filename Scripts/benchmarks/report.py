"""Numbers, and how they are shown: tables in Markdown."""

import dataclasses
import json
import pathlib
import statistics

from .system import describe_machine, file_system_of, say


# Numbers

@dataclasses.dataclass(frozen=True)
class Metric:
    label: str
    unit: str
    # A rate is better when it is higher, everything else when it is lower.
    is_rate: bool = False

    def best(self, values):
        return max(values) if self.is_rate else min(values)

    def show(self, value):
        # Memory of some hundred MiB needs no digits behind the point, the growth of a repository does.
        if self.unit == "s" or self.unit in ("MiB", "ms") and value < 10:
            return f"{value:.2f}"
        return f"{value:,.0f}" if self.unit == "KiB" else f"{value:.0f}"

    def show_all(self, found):
        """The best, and the median where it is another number."""
        best, median = self.show(found["best"]), self.show(found["median"])
        return best if best == median else f"{best} ({median})"


class Measurements:
    """All values that were measured: metric -> peer -> list."""

    def __init__(self, metrics):
        self.metrics = metrics
        self.values = {name: {} for name in metrics}

    def note(self, metric, peer, value):
        self.values[metric].setdefault(peer.name, []).append(value)

    def result(self):
        return {metric: {peer: {"values": values, "best": self.metrics[metric].best(values),
                                "median": statistics.median(values)} for peer, values in by_peer.items()}
                for metric, by_peer in self.values.items() if by_peer}


# Tables

def table(head, rows):
    """A table whose first column is text and whose others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def mebibytes(size):
    return f"{size / (1 << 20):.0f} MiB"


def ratio(metric, value, reference):
    """How many times as long as the reference something takes, or how much."""
    if not value or not reference:
        return "–"
    times = reference / value if metric.is_rate else value / reference
    return f"{times:.2f}"


def print_numbers(names, measured, metrics, of="long as with yester it takes"):
    """A table of all numbers, and one of how they compare with those of yester. `of` says what is compared."""
    rows, ratios = [], []
    for key, by_peer in measured.items():
        metric = metrics[key]
        row = [f"{metric.label}, {metric.unit}"]
        ratio_row = [metric.label]
        for name in names:
            found = by_peer.get(name)
            row.append(metric.show_all(found) if found else "–")
            ratio_row.append(ratio(metric, found and found["best"], by_peer.get("yester", {}).get("best")))
        rows.append(row)
        ratios.append(ratio_row)
    print(table(["work", *names], rows))
    if "yester" in names and len(names) > 1:
        print(f"How many times as {of} (by the best runs):\n")
        print(table(["work", *names], ratios))


# The beginning and the end of a report

def header_of(peers, runs, work, copies):
    header = {"machine": describe_machine(), "versions": {peer.name: peer.version() for peer in peers},
              "runs": runs, "backups_on": file_system_of(work), "copies_on": file_system_of(copies)}
    for name, version in header["versions"].items():
        say(f"{name}: {version}")
    return header


def print_header(title, header, notes):
    """`notes` says under which conditions the numbers came about."""
    print(f"## {title}\n")
    machine = header["machine"]
    print(f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, "
          f"Linux {machine['kernel']}. Backups on {header['backups_on']}, copies to {header['copies_on']}.\n")
    print("Programs: " + "; ".join(f"{name}: {version}" for name, version in header["versions"].items()) + ".\n")
    runs = header["runs"]
    numbers = f"the best of {runs} runs, with the median in brackets where it differs" if runs > 1 else "of one run"
    print(f"Each number is {numbers}. {notes}\n")


def print_complaints(complaints):
    for complaint in complaints:
        print(f"Attention: {complaint}\n")


def write_json(options, header, results):
    """Called after each tree: what was measured stays when the next one is broken off."""
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(header | results, indent=2) + "\n")
