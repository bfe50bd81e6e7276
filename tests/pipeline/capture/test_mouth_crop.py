"""Mouth crops come out of a video upright, in place, and at 25 frames per second."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import refused

from pipeline.capture import mouth_crop
from pipeline.errors import InputError

av = pytest.importorskip("av")


def face(angle=0.3, scale=0.8, shift=(20.0, 10.0)):
    """Landmarks (68, 2) of the fixed places and a mouth below, turned, scaled and moved.

    And what was done, as (a, b).
    """
    points = np.zeros((68, 2))
    points[list(mouth_crop.STABLE)] = mouth_crop.PLACES
    points[mouth_crop.MOUTH] = [128, 200] + np.random.default_rng(0).uniform(-20, 20, (20, 2))
    points[mouth_crop.MOUTH] += [128, 200] - points[mouth_crop.MOUTH].mean(0)
    a, b = scale * np.exp(1j * angle), complex(*shift)
    moved = a * (points @ np.array([1, 1j])) + b
    return np.stack([moved.real, moved.imag], 1), (a, b)


def test_a_turned_and_scaled_face_is_cut_out_upright():
    points, (a, b) = face()
    # brightness of a pixel says where it lies in the upright picture
    y, x = np.mgrid[:300, :300]
    upright = (x + 1j * y - b) / a
    picture = np.clip(upright.real - 60, 0, 255)
    found = mouth_crop.crop(picture, points)
    expected = np.clip(128 + np.arange(96) - 47.5 - 60, 0, 255)
    assert found.shape == (96, 96) and found.dtype == np.uint8
    assert np.abs(found - expected[None]).max() <= 1.5


def test_landmarks_are_averaged_over_twelve_frames():
    points = np.random.default_rng(0).normal(size=(40, 68, 2))
    found = mouth_crop.smoothed(points)
    assert (
        np.allclose(found[20], points[14:26].mean(0))
        and np.allclose(found[0], points[:6].mean(0))
        and np.allclose(found[-1], points[-7:].mean(0))
    )


def write_video(path, frames, fps):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 304, 304, "yuv420p"
        for frame in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format="yuv420p"))
            )
        container.mux(stream.encode())


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_a_video_becomes_crops_at_25_frames_per_second(tmp_path, fps):
    write_video(
        tmp_path / "x.mp4",
        [np.full((304, 304), 40 + 100 * i // (2 * fps), np.uint8) for i in range(2 * fps)],
        fps,
    )
    np.save(tmp_path / "x.npy", np.repeat(face()[0][None], 2 * fps, 0))
    mouth_crop.main(
        [
            "--video",
            str(tmp_path / "x.mp4"),
            "--landmarks",
            str(tmp_path / "x.npy"),
            "--out",
            str(tmp_path / "x.mouth.npz"),
        ]
    )
    data = np.load(tmp_path / "x.mouth.npz")["data"]
    assert data.dtype == np.uint8 and data.shape[1:] == (96, 96) and abs(len(data) - 50) <= 1
    assert np.abs(data[25].astype(float) - 90).max() < 8


def test_without_landmarks_the_error_says_what_to_give(tmp_path, capsys):
    write_video(tmp_path / "x.mp4", [np.zeros((304, 304), np.uint8)] * 5, 25)
    arguments = [
        "--video",
        tmp_path / "x.mp4",
        "--landmarks",
        tmp_path / "x.npy",
        "--out",
        tmp_path / "x.npz",
    ]
    outputs = [tmp_path / "x.npz"]
    refused(
        mouth_crop.main,
        arguments,
        capsys,
        "need landmarks (T, 68, 2)",
        "face_alignment or dlib",
        outputs=outputs,
    )
    np.save(tmp_path / "x.npy", np.repeat(face()[0][None], 4, 0))
    refused(mouth_crop.main, arguments, capsys, "landmarks of 4 frames, x.mp4 has 5", outputs=outputs)
    (tmp_path / "x.mp4").write_bytes(b"no video")
    refused(mouth_crop.main, arguments, capsys, "not a readable video", outputs=outputs)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile other.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
        "http://localhost:1/x.mp4",
    ],
    ids=["concat", "hls", "address"],
)
def test_a_list_of_other_videos_is_not_followed(tmp_path, monkeypatch, text):
    write_video(tmp_path / "other.mp4", [np.zeros((304, 304), np.uint8)] * 5, 25)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.mp4").write_text(text)
    with pytest.raises(InputError, match="x.mp4: not a readable video"):
        list(mouth_crop.read_video(tmp_path / "x.mp4"))
    with pytest.raises(InputError, match="no such file"):
        list(mouth_crop.read_video(Path("http://localhost:1/x.mp4")))
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="is a pipe or device"):
        list(mouth_crop.read_video(tmp_path / "pipe.mp4"))
