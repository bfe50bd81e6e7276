"""A speech encoder that learns along with the model that hears it, as DiffSpeaker and FaceFormer do it.

In: voices (V, S) at 16 kHz, windows of shards. Out: features (V, T, E), row f at f / 30 s of the window. They
are those of models.speech.speech_encoders of that window alone: what lies before and after it is not heard.

As in the public codes, the convolutions on the waveform do not learn, and in training spans of features are
hidden from the layers behind them (SpecAugment, Park et al. 2019). Layers are not dropped: every process of a
training needs the same ones. A log-mel has no weights: of a Whisper all but its positions learns.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.draws import Draws
from models.speech import speech_encoders
from models.speech.speech_encoders import EDGE, UNUSED, WHISPER_SECONDS
from pipeline.errors import InputError
from pipeline.formats.pretrained import build_network, check_description
from pipeline.motion.clock import AUDIO_RATE, FPS
from pipeline.reading import parse_json

DROPOUTS = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "dropout")
"""Keys of a config.json that tell how much is dropped in training."""
WHISPER_FFT, WHISPER_HOP = 400, 160
SPAN = 10
"""Features that a hidden span has, as wav2vec 2.0 was fine-tuned with."""


def describe(model: str, layer: int | str) -> dict[str, Any]:
    """What rebuilds the network of a speech model, and finds its weights again, as JSON."""
    found = speech_encoders.read(model)
    where = f"speech model {found.folder}"
    config = check_description("speech", parse_json(found.network.config.to_json_string(False), where), where)
    return {
        "model": model,
        "layer": str(layer),
        "model_sha256": found.sha256,
        "standardise": found.standardise,
        "config": config,
    }


class LearnedEncoder(nn.Module):
    """The network that `describe` speaks of, untrained until `load_pretrained`.

    dropout: in place of what the config drops; mask: share of features that training hides; learns: False
    freezes all of it.
    """

    filters: Tensor
    window: Tensor

    def __init__(
        self, described: dict[str, Any], *, dropout: float = 0.0, mask: float = 0.0, learns: bool = True
    ):
        super().__init__()
        config = dict(described["config"])
        self.described, self.mask, self.learns = described, mask, learns
        self.layer: int | str = (
            described["layer"] if described["layer"] == "last" else int(described["layer"])
        )
        self.where = f"speech model {described['model']}"
        config |= {key: dropout for key in DROPOUTS if config.get(key)}
        config |= {"layerdrop": 0.0, "encoder_layerdrop": 0.0, "mask_feature_prob": 0.0}
        config["apply_spec_augment"] = bool(mask)
        if mask:  # with it the network has what stands for a hidden feature
            config["mask_time_prob"] = mask
        self.network = build_network("speech", config, self.where)
        self.is_whisper = config["model_type"] == "whisper"
        if self.is_whisper:
            from transformers import WhisperFeatureExtractor

            self.width, self.first, self.stride = self.network.config.d_model, 0.0, 2 * WHISPER_HOP
            front = WhisperFeatureExtractor(feature_size=self.network.config.num_mel_bins)
            filters = torch.tensor(front.mel_filters, dtype=torch.float32)
            self.register_buffer("filters", filters, persistent=False)
            self.register_buffer("window", torch.hann_window(WHISPER_FFT), persistent=False)
        else:
            self.width = self.network.config.hidden_size
            self.field, self.stride = speech_encoders.reach(self.network)
            self.first = (self.field - 1) / 2 - EDGE
            self.network.feature_extractor._freeze_parameters()
        self._freeze_unheard()
        if not learns:
            self.requires_grad_(False)

    def _freeze_unheard(self) -> None:
        """Layers behind the chosen one, which play no part in the features, do not learn."""
        layers = self.network.layers if self.is_whisper else self.network.encoder.layers
        if self.layer == "last":
            return
        if not 0 <= int(self.layer) <= len(layers):
            raise InputError(
                f"{self.where}: got layer {self.layer}, need 0 to {len(layers)} or last; change speech.layer"
            )
        for block in layers[int(self.layer) :]:
            block.requires_grad_(False)

    def load_pretrained(self) -> None:
        """Take the weights of the speech model; InputError where it is not there or another one."""
        found = speech_encoders.read(self.described["model"])
        if found.sha256 != self.described["model_sha256"]:
            raise InputError(f"{self.where}: its weights have changed while this run was read; train again")
        report = self.network.load_state_dict(found.network.state_dict(), strict=False)
        odd = [name for name in report.missing_keys if not any(part in name for part in UNUSED)]
        if odd := [
            *odd,
            *(name for name in report.unexpected_keys if not any(part in name for part in UNUSED)),
        ]:
            raise InputError(f"{self.where}: {odd[0]} does not fit its config.json; copy the model again")

    def train(self, mode: bool = True) -> "LearnedEncoder":
        """Drop and hide in training only what learns."""
        return super().train(mode and self.learns)

    def num_features(self, num_samples: int) -> int:
        """Features K of so many samples, before they are put on the motion clock."""
        if self.is_whisper:
            return num_samples // self.stride + 1
        count = max(num_samples, self.field) + 2 * EDGE
        for kernel, hop in zip(self.network.config.conv_kernel, self.network.config.conv_stride, strict=True):
            count = (count - kernel) // hop + 1
        return count

    def hidden_spans(self, draws: Draws, num_samples: int) -> Tensor | None:
        """Which features (B, 2, K) training hides of two voices; None where none are.

        Spans of SPAN features, which may overlap, begin at each feature alike, so that `mask` of all is
        hidden on average.
        """
        if not self.mask or self.is_whisper or not self.learns:
            return None
        begin = 1 - (1 - self.mask) ** (1 / SPAN)
        starts = draws.uniform((2, self.num_features(num_samples))) < begin
        # (parts, 2, K) of each item: max over the SPAN places up to each
        return F.max_pool1d(F.pad(starts.float(), (SPAN - 1, 0)), SPAN, 1) > 0

    def _mels(self, voices: Tensor) -> Tensor:
        """Log-mels (V, M, 3000) of voices (V, S), as Whisper hears them: 30 s, which end in silence."""
        spare = WHISPER_SECONDS * AUDIO_RATE - voices.shape[1]
        if spare < 0:
            raise InputError(
                f"{self.where}: got a window of {voices.shape[1] / AUDIO_RATE:.1f} s, a Whisper hears"
                f" {WHISPER_SECONDS} s at a time; lower window_frames to {WHISPER_SECONDS * FPS}"
            )
        spectrum = torch.stft(
            F.pad(voices, (0, spare)), WHISPER_FFT, WHISPER_HOP, window=self.window, return_complex=True
        )
        power = spectrum[..., :-1].abs().square()
        logs = (self.filters.T @ power).clamp(min=1e-10).log10()
        return (torch.maximum(logs, logs.amax((1, 2), keepdim=True) - 8) + 4) / 4

    def forward(self, voices: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Features (V, T, E) of voices (V, S); hidden (V, K) as of `hidden_spans`."""
        more: dict[str, Any] = {}
        if self.is_whisper:
            with torch.autocast(voices.device.type, enabled=False):
                inputs = self._mels(voices.float())
        else:
            inputs = voices
            if self.described["standardise"]:
                variance, mean = torch.var_mean(voices, 1, correction=0, keepdim=True)
                inputs = (voices - mean) / torch.sqrt(variance + 1e-7)
            inputs = F.pad(inputs, (EDGE, EDGE + max(self.field - voices.shape[1], 0)))
            if hidden is not None and self.training:
                more["mask_time_indices"] = hidden
        found = speech_encoders.hidden(self.network, inputs, self.layer, self.where, **more).float()
        num_frames = math.ceil(voices.shape[1] * FPS / AUDIO_RATE)
        count = min(found.shape[1], self.num_features(voices.shape[1]))
        place = torch.arange(num_frames, device=found.device, dtype=torch.float64) * (AUDIO_RATE / FPS)
        place = ((place - self.first) / self.stride).clamp(0, count - 1)
        low = place.long()
        return torch.lerp(
            found[:, low], found[:, (low + 1).clamp(max=count - 1)], (place - low).float()[:, None]
        )
