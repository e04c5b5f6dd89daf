"""Tables in Markdown."""


def table(head, rows):
    """A table whose first column is text and whose others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def mebibytes(size):
    return f"{size / (1 << 20):.0f} MiB"


def ratio(metric, value, reference):
    """How many times as long as the reference something takes."""
    if not value or not reference:
        return "–"
    times = reference / value if metric.is_rate else value / reference
    return f"{times:.2f}"
