import pytest
from helpers.bodies import FPS, standing, turned

from pipeline.capture.body_faults import summary
from pipeline.capture.body_quality import inspect


def test_summary_counts_times_and_reasons():
    motion = turned(standing(), "Head", slice(200, None), 40)
    report = summary(
        inspect(motion), fps=FPS, num_frames=motion.num_frames, first_frame=1000, start_seconds=-0.5
    )
    fault = next(f for f in report["faults"] if f["kind"] == "jump")
    assert any("slides in" in reason for reason in report["reasons"]), "its feet sway"
    assert (
        report["verdict"] == "check"
        and report["counts"]["jump"] == 1
        and "1 jumps, such as Head at 1.17 s" in report["reasons"]
    )
    assert (fault["first"], fault["stop"]) == (1200, 1201) and fault["start_seconds"] == pytest.approx(
        200 / FPS - 0.5, abs=1e-3
    )
    clean = standing()
    assert summary(inspect(clean, slide_cm_s=99.0), fps=FPS, num_frames=clean.num_frames)["verdict"] == "good"
