"""What two bodies do: where each stands, walks, turns, sits down and gets up, and when.

In: a time span and a random generator. Out: two scripts that can be asked for place, heading, posture and
action at any time. Each actor keeps to one half of the floor, so that the two are never closer than 0.8 m,
0.5 m where they meet, and stay inside 5 m x 5 m. Lengths in cm, headings in radians (0 looks along +z, pi/2
along +x), times in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.simulate.noise import bump, ease

SIT, WALK, STAND = 0, 1, 2
NEAR_CM, FAR_CM, WIDE_CM = 62.0, 140.0, 160.0  # an actor's goals: distance from the middle line, and along it
MEETING_CM = 30.0  # distance from the middle line where two meet
MEETING_S = (2.4, 3.6)
CHAIR_CM = 150.0  # distance of the feet of a seated actor from the middle line
WALKING_CM_PER_S = 10.0
RAMP_S = 0.6  # time to reach full speed and to stop
STEP_END_S = 0.3  # the feet finish that long after the body has arrived
SIT_S, RISE_S = 1.6, 1.4
SEATED = 0.98  # who is that far down sits: the hips are within 1 cm of the chair


@dataclass
class Script:
    """One actor's plan.

    place (2,) x and z, heading, seated: how it begins; turns (start, stop, change of heading), walks (start,
    stop, change of place (2,)), postures (start, stop, +1 down or -1 up), strolls (start, stop): when the
    feet move, meetings (start, stop): when both stand before each other, an arm's length apart.
    """

    place: np.ndarray
    heading: float
    seated: bool
    turns: list[tuple[float, float, float]] = field(default_factory=list)
    walks: list[tuple[float, float, np.ndarray]] = field(default_factory=list)
    postures: list[tuple[float, float, float]] = field(default_factory=list)
    strolls: list[tuple[float, float]] = field(default_factory=list)
    meetings: list[tuple[float, float]] = field(default_factory=list)

    def place_at(self, times: np.ndarray) -> np.ndarray:
        """x and z (N, 2) in cm."""
        times = np.asarray(times, float)
        return self.place + sum(
            (_progress(times, a, b)[:, None] * d for a, b, d in self.walks), np.zeros((len(times), 2))
        )

    def heading_at(self, times: np.ndarray) -> np.ndarray:
        """Heading (N,) in radians, continuous."""
        times = np.asarray(times, float)
        return self.heading + sum(
            (d * ease((times - a) / (b - a)) for a, b, d in self.turns), np.zeros(len(times))
        )

    def seat_at(self, times: np.ndarray) -> np.ndarray:
        """How far the actor is down on the chair (N,): 0 standing, 1 seated."""
        times = np.asarray(times, float)
        return float(self.seated) + sum(
            (d * ease((times - a) / (b - a)) for a, b, d in self.postures), np.zeros(len(times))
        )

    def meeting_at(self, times: np.ndarray) -> np.ndarray:
        """1 while the two stand before each other, 0 a second before and after (N,)."""
        times = np.asarray(times, float)
        return sum((bump(times, a - 1.0, a, b, b + 1.0) for a, b in self.meetings), np.zeros(len(times)))

    def speed_at(self, times: np.ndarray) -> np.ndarray:
        """Speed over ground (N,) in cm/s."""
        times = np.asarray(times, float)
        return np.linalg.norm(self.place_at(times + 0.005) - self.place_at(times - 0.005), axis=1) / 0.01

    def action_at(self, times: np.ndarray) -> np.ndarray:
        """Labels (N,) uint8: 0 sits, 1 walks, 2 stands.

        Sitting down, getting up and turning on the spot are standing.
        """
        result = np.full(len(times), STAND, np.uint8)
        result[self.speed_at(times) > WALKING_CM_PER_S] = WALK
        result[self.seat_at(times) > SEATED] = SIT
        return result


def _progress(times: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Share of a walk's way (N,), the integral of `ease`.

    Speed eases in and out over RAMP_S and is constant between.
    """
    span = stop - start
    ramp = min(RAMP_S, span / 2)

    def area(x):
        x = np.clip(x, 0, 1)
        return x**4 * (x * x - 3 * x + 2.5)

    done = times - start
    middle = np.clip(done - ramp, 0, span - 2 * ramp)
    return (ramp * area(done / ramp) + middle + ramp * (0.5 - area((span - done) / ramp))) / (span - ramp)


def wrap(angle):
    """An angle in radians brought to [-pi, pi)."""
    return (np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi


def direction(vector: np.ndarray):
    """Heading of ground vectors (..., 2): x and z."""
    return np.arctan2(vector[..., 0], vector[..., 1])


class _Actor:
    """A script in the making: its clock, place and heading at the end of what is planned."""

    def __init__(self, script: Script, clock: float, chair: tuple[np.ndarray, float], deck: list[str]):
        self.script, self.clock, self.chair, self.deck = script, clock, chair, deck
        self.place, self.heading, self.seated = script.place.copy(), script.heading, script.seated

    def turn(self, heading: float, begin: float) -> float:
        """Turn on the spot from `begin`; returns when it is done."""
        change = float(wrap(heading - self.heading))
        if abs(change) < 0.05:
            return begin
        stop = begin + 0.4 + abs(change) / 1.7
        self.script.turns.append((begin, stop, change))
        self.heading += change
        return stop

    def walk(self, goal: np.ndarray, heading, speed: float) -> None:
        """Turn towards the goal, walk there and turn to `heading`, a function of the arrival time."""
        way, begin = goal - self.place, self.clock
        length, stop = float(np.linalg.norm(way)), begin
        if length > 1.0:
            turned = self.turn(float(direction(way)), begin)
            start = begin + 0.7 * (turned - begin)
            stop = start + max(length / speed + RAMP_S, 2 * RAMP_S)
            self.script.walks.append((start, stop, way))
            self.place = goal.copy()
        done = self.turn(float(heading(stop)), stop - 0.25 if length > 1.0 else stop)
        self.finish(begin, max(done, stop))

    def finish(self, begin: float, stop: float) -> None:
        """The feet were busy from `begin` to `stop`."""
        if stop > begin:
            self.script.strolls.append((begin, stop))
            self.clock = stop + STEP_END_S

    def posture(self, change: float) -> None:
        """Sit down (+1) or get up (-1)."""
        stop = self.clock + (SIT_S if change > 0 else RISE_S)
        self.script.postures.append((self.clock, stop, change))
        self.clock, self.seated = stop, change > 0


class _Stage:
    """The floor, its middle line turned by a random angle, and both actors."""

    def __init__(self, start: float, rng: np.random.Generator):
        self.rng = rng
        angle = rng.uniform(0, 2 * np.pi)
        self.axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.actors = [self._enter(k, start) for k in range(2)]

    def _enter(self, k: int, start: float) -> _Actor:
        chair = self.spot(k, CHAIR_CM, self.rng.uniform(-80, 80))
        looks = float(direction(self.spot(1 - k, 60, 0) - chair)) + self.rng.uniform(-0.4, 0.4)
        seated = bool(self.rng.random() < 0.4)
        place = chair if seated else self.goal(k)
        heading = (
            looks
            if seated
            else float(direction(self.spot(1 - k, 100, 0) - place)) + self.rng.uniform(-0.3, 0.3)
        )
        deck = list(
            self.rng.permutation(
                ["walk", "sit", "turn", "walk"] if not seated else ["walk", "turn", "walk", "sit"]
            )
        )
        return _Actor(Script(place, heading, seated), start, (chair, looks), deck)

    def spot(self, k: int, far: float, along: float) -> np.ndarray:
        """x and z of a point in actor k's half: distance from the middle line and position along it, cm."""
        return (far if k else -far) * self.axes[0] + along * self.axes[1]

    def goal(self, k: int) -> np.ndarray:
        """A random place in actor k's half."""
        return self.spot(k, self.rng.uniform(NEAR_CM, FAR_CM), self.rng.uniform(-WIDE_CM, WIDE_CM))

    def towards(self, k: int, time: float, place: np.ndarray) -> float:
        """Heading from `place` to the partner of k, as far as the partner's plan is known."""
        partner = self.actors[1 - k].script
        return float(direction(partner.place_at(np.array([time]))[0] - place))

    def meet(self) -> None:
        """Both walk to the middle line, wait for each other and stay a while."""
        begin = max(actor.clock for actor in self.actors)
        along = self.rng.uniform(-WIDE_CM, WIDE_CM) / 2
        for k, actor in enumerate(self.actors):
            actor.clock = begin
            if actor.seated:
                actor.posture(-1.0)
                actor.clock += 0.3
            looks = float(direction(self.spot(1 - k, 100, along) - self.spot(k, MEETING_CM, along)))
            actor.walk(
                self.spot(k, MEETING_CM, along), lambda time, looks=looks: looks, self.rng.uniform(95, 118)
            )
        arrived = max(actor.clock for actor in self.actors)
        for actor in self.actors:
            actor.clock = arrived
        until = arrived + self.rng.uniform(*MEETING_S)
        for actor in self.actors:
            actor.script.meetings.append((arrived, until))
            actor.clock = until

    def act(self, k: int) -> None:
        """Plan actor k's next action."""
        actor, rng = self.actors[k], self.rng
        if actor.seated:
            actor.clock += rng.uniform(3.0, 7.0)
            actor.posture(-1.0)
            actor.clock += rng.uniform(0.2, 0.8)
            return
        actor.clock += rng.uniform(0.5, 2.2)
        action = actor.deck.pop(0)
        actor.deck.append(action)
        speed = rng.uniform(95, 118)
        faces, offset = rng.random() < 0.7, rng.uniform(-0.3, 0.3)
        aside = rng.choice([-1.0, 1.0]) * rng.uniform(1.3, 2.6)
        if action == "sit":
            chair, looks = actor.chair
            actor.walk(chair, lambda time: looks, speed)
            actor.posture(1.0)
        elif action == "walk":
            goals = [self.goal(k) for _ in range(8)]
            goal = next((g for g in goals if np.linalg.norm(g - actor.place) > 90), goals[0])
            actor.walk(goal, lambda time: self.towards(k, time, goal) + (offset if faces else aside), speed)
        else:
            ahead = self.towards(k, actor.clock, actor.place)
            away = abs(wrap(ahead - actor.heading)) < np.pi / 4
            begin = actor.clock
            actor.finish(begin, actor.turn(ahead + (aside if away else offset), begin))


def plan_scripts(
    start: float, stop: float, rng: np.random.Generator, *, meetings: Sequence[float] = ()
) -> list[Script]:
    """Scripts of both actors that cover `start` to `stop` seconds.

    Meetings: when the two set out to meet, in order.
    """
    stage, waiting = _Stage(start, rng), list(meetings)
    for actor in stage.actors:
        actor.clock -= rng.uniform(0, 2.0)  # not everybody begins with a pause of full length
    while (k := min(range(2), key=lambda i: stage.actors[i].clock)) is not None and stage.actors[
        k
    ].clock < stop:
        if waiting and stage.actors[k].clock >= waiting[0]:
            waiting.pop(0)
            stage.meet()
        else:
            stage.act(k)
    return [actor.script for actor in stage.actors]
