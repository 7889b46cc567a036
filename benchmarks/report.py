"""The table: what was measured, beside whom, the ratio, and the target that it is held to."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import Timing


@dataclass(frozen=True)
class Row:
    """One line; `ratio` is ours to the peer's, and lower is better."""

    what: str
    ours: str
    peer: str
    ratio: float
    target: float | None

    @property
    def verdict(self) -> str:
        """Whether the target was reached; nothing where there is none."""
        if self.target is None:
            return ""
        return "reached" if self.ratio <= self.target else "MISSED"


def row(what: str, ours: Timing, peer: Timing, target: float | None) -> Row:
    """A line of two timings."""
    return Row(
        what,
        f"{ours.median_us:.2f} µs",
        f"{peer.name} {peer.median_us:.2f} µs",
        ours.ratio_to(peer),
        target,
    )


RATIO = (
    "A ratio is the median of the ratios of single rounds, which alternate between cases. On a\n"
    "busy machine it may differ much from that of the two medians beside it: run again."
)


def render(rows: list[Row]) -> str:
    """The lines as a Markdown table."""
    head = ("what", "cacheapp", "peer", "ratio", "target", "")
    cells = [head] + [
        (
            line.what,
            line.ours,
            line.peer,
            f"{line.ratio:.3f}",
            "" if line.target is None else f"<= {line.target}",
            line.verdict,
        )
        for line in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]

    def write(line: tuple[str, ...]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([write(cells[0]), rule, *map(write, cells[1:]), "", RATIO])
