"""Folders with tiny random encoders, as their libraries save them."""

import json
from pathlib import Path

LETTERS = "abc"


def _seeded() -> None:
    import torch

    torch.manual_seed(0)


def tiny_bert(folder: Path, positions: int = 64) -> Path:
    """A BERT whose sub-words are letters, with a fast tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(
        models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    _seeded()
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": positions,
    }
    BertModel(BertConfig(vocab_size=len(vocabulary), initializer_range=0.5, **sizes)).save_pretrained(folder)
    return folder


def tiny_wav2vec(folder: Path, *, kind: str = "wav2vec2", normalise: bool = True, **settings) -> Path:
    """A wav2vec 2.0, HuBERT or WavLM (`kind`) with the public ones' kernels and strides.

    And its preprocessor_config.json.
    """
    import transformers

    name = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}[kind]
    config, model = (getattr(transformers, f"{name}{part}") for part in ("Config", "Model"))
    _seeded()
    sizes = {
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "conv_dim": [8] * 7,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        "mask_time_prob": 0.0,
    }
    model(config(**sizes | settings)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"do_normalize": normalise, "sampling_rate": 16000})
    )
    return folder


def tiny_whisper(folder: Path) -> Path:
    """A Whisper with an encoder of two blocks."""
    from transformers import WhisperConfig, WhisperModel

    _seeded()
    sizes = {
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "vocab_size": 60,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 3,
    }
    WhisperModel(WhisperConfig(**sizes)).save_pretrained(folder)
    return folder


def drop_weight(folder: Path, name: str) -> None:
    """Take one weight out of a folder's model.safetensors."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    state = load_file(path)
    del state[name]
    save_file(state, path, metadata={"format": "pt"})
