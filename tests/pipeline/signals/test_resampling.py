import numpy as np
import pytest

from pipeline.motion.clock import AUDIO_RATE
from pipeline.signals.resampling import resample


@pytest.mark.parametrize("rate", [AUDIO_RATE, 44_100, 48_000])
def test_a_tone_stays_where_it_is(rate):
    def tone(rate):
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    found = resample(tone(rate), rate)
    assert found.dtype == np.float32 and len(found) == AUDIO_RATE
    np.testing.assert_allclose(found[800:-800], tone(AUDIO_RATE)[800:-800], atol=1e-3)


def test_what_rounding_leaves_is_cut_or_silent():
    audio = np.ones(48_000)
    assert len(resample(audio, 48_000, 15_990)) == 15_990
    longer = resample(audio, 48_000, 16_010)
    assert len(longer) == 16_010 and not longer[16_000:].any()
