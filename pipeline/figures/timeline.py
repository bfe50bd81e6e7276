"""The streams of a take as bars on one time line, with the window that they have in common."""

from pipeline.formats.sync_file import kinds_of

STREAMS = {"body": "#a78bfa", "face": "#fbbf24", "audio": "#34d399"}


def draw_streams(ax, take: dict) -> None:
    """Bars of all streams on the take's clock, with the common window shaded."""
    start, seconds = take["start_seconds"], take["frames"] / take["fps"]
    ax.axvspan(0, seconds, color="#e5e7eb", zorder=0)
    names: list[str] = []
    for performance in take["performances"]:
        for name in kinds_of(performance):
            stream, colour = performance[name], STREAMS[name]
            ax.barh(
                len(names),
                stream["end"] - stream["start"],
                left=stream["start"] - start,
                height=0.7,
                color=colour,
            )
            count = f"{stream['frames']} frames" if "frames" in stream else f"{stream['samples']} samples"
            lost = f", {stream['dropped']} dropped" if "dropped" in stream else ""
            drift = "" if stream["drift_ppm"] is None else f", {stream['drift_ppm']:+.1f} ppm"
            ax.text(
                seconds / 2,
                len(names),
                f"{stream['rate']:.6g} Hz, {count}{lost}{drift}",
                ha="center",
                va="center",
                fontsize=8,
            )
            names.append(f"{performance['actor']} {name}")
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.use_sticky_edges = False  # a margin beside the longest bar
    ax.margins(x=0.01)
    ax.invert_yaxis()
    ax.set_title(
        f"streams and common window (shaded): {take['frames']} frames at {take['fps']} per second from"
        f" {start:.3f} s of the day",
        fontsize=10,
    )
