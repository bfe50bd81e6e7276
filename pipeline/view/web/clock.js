'use strict';

/**
 * The time of a take. While it plays with sound, the audio element says what time it is, since ears notice a
 * gap sooner than eyes; without sound, the computer's clock does.
 *
 * An audio element tells its time in steps of some milliseconds. Between two steps the computer's clock goes
 * on, and is drawn towards what the sound says, so that motion is smooth and no error adds up.
 */
class Clock {
  /** Seconds of difference between sound and picture that are mended at once. */
  static JUMP = 0.08;

  /**
   * @param {HTMLAudioElement} audio
   * @param {() => void} changed called after play, pause, seek, or another speed, loop or volume
   */
  constructor(audio, changed) {
    this.audio = audio;
    this.changed = changed;
    this.duration = 0;
    this.fps = 30;
    this.speed = 1;
    this.playing = false;
    /** @type {[number, number] | null} seconds from and to which playing goes round */
    this.loop = null;
    this.hasSound = false;
    /** Why there is no sound, where it should be there. */
    this.complaint = '';
    this.url = '';
    this._time = 0;
    this._since = 0;
    audio.preservesPitch = true;
    audio.addEventListener('error', () => this._fail('the sound of this take cannot be read'));
  }

  /**
   * @param {number} duration seconds
   * @param {number} fps
   * @param {Blob | null} sound
   */
  open(duration, fps, sound) {
    this.close();
    this.duration = duration;
    this.fps = fps;
    if (sound) {
      this.url = URL.createObjectURL(sound);
      this.hasSound = true;
      this.audio.src = this.url;
      this.audio.playbackRate = this.speed;
    }
  }

  /** Forget the take: its sound, time and loop. */
  close() {
    this.playing = false;
    this.hasSound = false;
    this.complaint = '';
    this.loop = null;
    this._time = 0;
    this.duration = 0;
    if (this.url) {
      this.audio.pause();
      this.audio.removeAttribute('src');
      this.audio.load();
      URL.revokeObjectURL(this.url);
      this.url = '';
    }
  }

  /** Start of the last frame, in seconds: nothing is later. */
  get last() {
    return Math.max(0, this.duration - 1 / this.fps);
  }

  /** The time now in seconds; goes round in a loop and stops at the end. */
  now() {
    if (!this.playing) return this._time;
    const clock = performance.now();
    const passed = ((clock - this._since) / 1000) * this.speed;
    this._since = clock;
    if (this._soundLeads()) {
      const { paused, seeking, readyState } = this.audio;
      if (paused || seeking || readyState < 3) return this._time; // it starts soon
      const error = this.audio.currentTime - (this._time + passed);
      this._time += passed + (Math.abs(error) > Clock.JUMP ? error : 0.1 * error);
    } else {
      this._time += passed;
    }
    const [from, to] = this.loop ?? [0, this.duration];
    if (this._time >= to - 1e-4) {
      if (this.loop) this._go(from);
      else this._stop(this.last);
    }
    return this._time;
  }

  play() {
    if (this.playing || !this.duration) return;
    if (this.loop && (this._time < this.loop[0] || this._time >= this.loop[1] - 1e-4))
      this._go(this.loop[0]);
    else if (this._time >= this.last - 1e-4) this._go(0);
    this.playing = true;
    this._since = performance.now();
    if (this.hasSound) {
      this.audio.currentTime = this._time;
      this.audio.play().catch((error) => {
        if (this.playing && error.name !== 'AbortError') this._fail('the browser does not play the sound');
      });
    }
    this.changed();
  }

  /** Stop, on a frame. */
  pause() {
    if (this.playing) this._stop(this._onFrame(this.now()));
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** @param {number} seconds where to go, playing or not */
  seek(seconds) {
    this._go(seconds);
    this.changed();
  }

  /** @param {number} frames how many to go on, or back where it is negative; stops */
  step(frames) {
    if (this.playing) this.pause();
    this.seek(this._onFrame(this._time) + frames / this.fps);
  }

  /** @param {number} speed 0.25 to 2; the voices keep their pitch */
  setSpeed(speed) {
    this.now();
    this.speed = Math.min(2, Math.max(0.25, speed));
    this.audio.playbackRate = this.speed;
    this.changed();
  }

  /** @param {number | null} from @param {number | null} to seconds; null: the start, the end */
  setLoop(from, to) {
    const start = Math.max(0, from ?? 0);
    const end = Math.min(this.duration, to ?? this.duration);
    this.loop = (from === null && to === null) || end - start < 1 / this.fps ? null : [start, end];
    this.changed();
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    this.audio.muted = muted;
    this.changed();
  }

  _onFrame(seconds) {
    return Math.round(seconds * this.fps) / this.fps;
  }

  _soundLeads() {
    return this.hasSound && !this.audio.ended;
  }

  _go(seconds) {
    this._time = Math.min(this.last, Math.max(0, seconds));
    this._since = performance.now();
    if (!this.hasSound) return;
    const ended = this.audio.ended;
    this.audio.currentTime = this._time;
    if (ended && this.playing) this.audio.play().catch(() => {});
  }

  _stop(seconds) {
    this.playing = false;
    if (this.hasSound) this.audio.pause();
    this._go(seconds);
    this.changed();
  }

  _fail(why) {
    if (!this.hasSound) return;
    this.hasSound = false;
    this.complaint = why;
    this._since = performance.now();
    this.changed();
  }
}
