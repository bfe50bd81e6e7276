"""Words of takes as embeddings of a BERT, one row a word.

In: the transcripts of both performances of each take, as many takes as the shard that they go into, since
loading the network takes longer than a take's words. Out: features/{shard}.text.h5, for each take a group
with `text` (W, D), `actor` (W,) 0 or 1, `start` and `end` (W,) in seconds from frame 0, first actor first,
each in order of time; attributes name the model.
"""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import Text
from pipeline.files import whole
from pipeline.formats.pretrained import (
    load_network,
    load_tokenizer,
    model_folder,
    safetensors_of,
    weights_sha256,
)
from pipeline.formats.takes import in_pairs
from pipeline.formats.words import read_words

OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Networks whose first position number is that of the padding plus one."""


@lru_cache(maxsize=1)
def _load(folder: Path):
    """Tokenizer and network of a folder, for one model at a time."""
    network = load_network("text", folder, unused=("pooler.",))  # hidden states do not pass the pooler
    return load_tokenizer(folder), network


def utterances(words: list[dict], *, max_pause_seconds: float) -> list[range]:
    """Ranges of words that are each other's context: a pause longer than `max_pause_seconds` ends one."""
    begins = [
        i for i in range(len(words)) if i == 0 or words[i]["start"] - words[i - 1]["end"] > max_pause_seconds
    ]
    return [range(begin, end) for begin, end in zip(begins, [*begins[1:], len(words)])]


def windows(lengths: list[int], limit: int) -> list[tuple[range, range]]:
    """Windows over an utterance within a limit of tokens.

    The words that each embeds together, and those that it gives the rows of.

    lengths: sub-words of each word, none above `limit`. An utterance that fits is one window. Of a longer one
    each window begins at least a quarter of the limit (in whole words, as far as there are any) before the
    first word that it gives and takes all that fits; it leaves the last quarter to the next window, so that a
    word has that much context on both sides.
    """
    ends = np.concatenate([[0], np.cumsum(lengths)])
    result, given = [], 0
    while given < len(lengths):
        begin = (
            int(np.searchsorted(ends, ends[given] - limit // 4, "right")) - 1
            if ends[given] > limit // 4
            else 0
        )
        while ends[given + 1] - ends[begin] > limit:  # a long word leaves less room for what is before it
            begin += 1
        end = int(np.searchsorted(ends, ends[begin] + limit, "right")) - 1
        stop = (
            end
            if end == len(lengths)
            else max(int(np.searchsorted(ends, ends[end] - limit // 4, "right")) - 1, given + 1)
        )
        result.append((range(begin, end), range(given, stop)))
        given = stop
    return result


def token_limit(tokenizer, network) -> int:
    """Most sub-words that the network reads at once, less the tokens that frame a sentence."""
    settings = network.config
    positions = settings.max_position_embeddings
    if settings.model_type in OFFSET_POSITIONS:
        positions -= settings.pad_token_id + 1
    return min(positions, tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()


def embed_words(words: list[dict], *, model: str = "package", max_pause_seconds: float = 1.0) -> np.ndarray:
    """Embeddings (W, D) float32 of words in order of time.

    Last hidden states, averaged over a word's sub-words.

    The context of a word is its utterance (see `utterances`), so that a word's row depends on what the same
    actor said around it, as in the paper's BERT features; an utterance beyond the network's limit of tokens
    goes in overlapping `windows`. A word that the tokenizer cannot read counts as its unknown token. Of a
    word beyond the limit, which stands alone in its window, the sub-words within it count.
    """
    import torch

    tokenizer, network = _load(model_folder("text", model))
    limit, split = (
        token_limit(tokenizer, network),
        partial(tokenizer, is_split_into_words=True, verbose=False),
    )
    texts = [str(word["word"]).strip() for word in words]
    result = np.zeros((len(words), network.config.hidden_size), np.float32)
    lengths = np.zeros(len(words), int)
    if words:
        found = [i for i in split(texts, add_special_tokens=False).word_ids(0) if i is not None]
        lengths = np.bincount(found, minlength=len(words))
    texts = [text if length else tokenizer.unk_token for text, length in zip(texts, lengths, strict=True)]
    lengths = lengths.clip(1, limit)
    for utterance in utterances(words, max_pause_seconds=max_pause_seconds):
        for read, given in windows(
            lengths[utterance].tolist(), limit
        ):  # one at a time: a row does not depend on what shares its batch
            tokens = split(
                [texts[utterance[i]] for i in read],
                return_tensors="pt",
                truncation=True,
                max_length=limit + tokenizer.num_special_tokens_to_add(),
            )
            with torch.inference_mode():
                hidden = network(**tokens).last_hidden_state[0]
            owner = np.array([-1 if i is None else i for i in tokens.word_ids(0)])
            for i in given:
                result[utterance[i]] = hidden[torch.from_numpy(owner == i - read.start)].mean(0).numpy()
    return result


def run(*, transcripts: list[Path], takes: list[str], out: Path, options: Text) -> None:
    """Write the word embeddings of takes."""
    import h5py

    spoken = {
        take: [read_words(path) for path in pair] for take, pair in in_pairs(transcripts, takes).items()
    }
    folder = model_folder("text", options.model)
    with whole(out) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as f:
        for take in stage.progress(takes, label=out.name):
            rows = [
                embed_words(words, model=options.model, max_pause_seconds=options.max_pause_seconds)
                for words in spoken[take]
            ]
            group = f.create_group(take)
            group["text"] = np.concatenate(rows)
            group["actor"] = np.repeat(np.arange(2, dtype=np.uint8), [len(words) for words in spoken[take]])
            for key in ("start", "end"):
                group[key] = np.array([word[key] for words in spoken[take] for word in words], float)
        f.attrs["model"] = options.model
        f.attrs["model_sha256"] = weights_sha256(safetensors_of("text", folder))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Text)
    parser.add_argument(
        "--transcripts",
        type=Path,
        nargs="+",
        required=True,
        help="transcripts of each take's two performances, by actor",
    )
    parser.add_argument("--takes", nargs="+", required=True, help="names of the takes, in the same order")
    parser.add_argument("--out", type=Path, required=True, help="HDF5 file to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
