"""Options of the simulated shoot."""

from pydantic import Field

from pipeline.config.section import Section


class Simulate(Section):
    """The simulated shoot: two-person takes with their truth, made when no `shoot` is given."""

    num_takes: int = Field(default=8, ge=1, le=20_000, description="takes to make")
    seconds: float = Field(
        default=20.0, ge=6, le=600, description="length of the window that all streams share, seconds"
    )
    lip_passages: int = Field(
        default=8,
        ge=0,
        le=200,
        description="passages of some ten seconds that one actor reads alone: the lip-accurate set; 0: none",
    )
    num_vertices: int = Field(default=1500, ge=200, description="vertices of the procedural heads, about")
    crosstalk_db: float = Field(
        default=-18.0, le=0, description="level of a voice in the other actor's microphone, dB"
    )
    noise_db: float = Field(default=-60.0, description="microphone noise against the voice's level, dB")
    mesh_noise_cm: float = Field(
        default=0.01, ge=0, description="standard deviation of face vertex noise, cm"
    )
    drop_rate: float = Field(
        default=0.002, ge=0, le=0.1, description="share of face frames that the recorder loses"
    )
    drift_ppm: float = Field(
        default=0.0,
        ge=0,
        le=500,
        description="largest drift of a face's or, with ltc, a microphone's clock, parts per million",
    )
    jitter_ms: float = Field(
        default=0.0,
        ge=0,
        le=5,
        description="standard deviation of a face frame's timecode about its time, ms",
    )
    midnight: bool = Field(default=False, description="every take has midnight in its middle")
    ltc: bool = Field(default=False, description="microphones record the timecode as LTC in a second channel")
