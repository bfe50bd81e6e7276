'use strict';

/**
 * The tracks of a take over its seconds: voices, words, actions, facing, contacts and faults of each actor.
 * Everything on it can be clicked, and empty places move the playhead.
 */
class Timeline {
  /** Seconds of silence that end a phrase. */
  static PAUSE = 0.8;

  /**
   * @param {HTMLElement} box
   * @param {{seek: (seconds: number) => void, loop: (from: number, to: number) => void}} actions
   */
  constructor(box, actions) {
    this.box = box;
    this.actions = actions;
    this.zoom = 1;
    box.addEventListener('wheel', (event) => this._wheel(event), { passive: false });
  }

  /** @param {object} take its take.json */
  open(take) {
    this.take = take;
    this.zoom = 1;
    this.seconds = 0;
    this.current = [];
    /** Words of each actor, with the elements that show them. */
    this.words = take.words.map((words) => words.map((word) => ({ ...word, shown: [] })));
    this.head = element('div', { className: 'playhead' });
    this.region = element('div', { className: 'region', hidden: true });
    this.inner = element('div', { className: 'inner' });
    this.inner.append(this._row('', 'ruler', this._ruler()));
    take.actors.forEach((actor, k) => this._actor(actor, k));
    this.inner.append(element('div', { className: 'over' }, this.region, this.head));
    this.box.replaceChildren(this.inner);
    this.box.scrollLeft = 0;
    this._scale();
  }

  close() {
    this.box.replaceChildren();
    this.take = null;
    this.words = [];
  }

  /** @param {number} seconds @param {boolean} playing whether to keep the playhead in sight */
  update(seconds, playing) {
    if (!this.take) return;
    this.seconds = seconds;
    this.head.style.transform = `translateX(${(100 * seconds) / this.take.seconds}%)`; // no new layout
    this.words.forEach((words, k) => {
      const i = lastStarted(words, seconds);
      const word = i >= 0 && seconds < words[i].end + 0.02 ? words[i] : null;
      if (word === this.current[k]) return;
      this.current[k]?.shown.forEach((shown) => shown.classList.remove('now'));
      word?.shown.forEach((shown) => shown.classList.add('now'));
      this.current[k] = word;
    });
    if (playing && this.zoom > 1) this._follow(seconds);
  }

  /** @param {[number, number] | null} loop */
  showLoop(loop) {
    if (!this.take) return;
    this.region.hidden = !loop;
    if (!loop) return;
    this.region.style.left = `${(100 * loop[0]) / this.take.seconds}%`;
    this.region.style.width = `${(100 * (loop[1] - loop[0])) / this.take.seconds}%`;
  }

  /** Zoom about a moment, the playhead's if none is given. */
  zoomBy(factor, seconds = this.seconds) {
    if (!this.take) return;
    const before = this._x(seconds) - this.box.scrollLeft;
    this.zoom = Math.min(Math.max(1, this.zoom * factor), Math.max(1, this.take.seconds / 2));
    this._scale();
    this.box.scrollLeft = this._x(seconds) - before;
  }

  /** Phrases of both actors in order: words of one actor without a pause. */
  phrases() {
    const phrases = [];
    this.words.forEach((words, actor) => {
      let phrase = null;
      for (const word of words) {
        if (!phrase || word.start - phrase.end > Timeline.PAUSE) {
          phrase = { actor, start: word.start, end: word.end, words: [] };
          phrases.push(phrase);
        }
        phrase.words.push(word);
        phrase.end = word.end;
      }
    });
    return phrases.sort((a, b) => a.start - b.start);
  }

  /** A button that says a word and goes there; it is lit while the word is said. */
  wordButton(word) {
    const button = element('button', { type: 'button', className: 'word', textContent: word.word });
    const sure = Number.isFinite(word.confidence) ? `, confidence ${word.confidence.toFixed(2)}` : '';
    button.title = clockText(word.start) + sure;
    button.addEventListener('click', () => this.actions.seek(word.start));
    word.shown.push(button);
    return button;
  }

  _actor(actor, k) {
    const { take } = this;
    const peaks = take.waveforms?.peaks?.[k] ?? [];
    const own = (entries) => (entries ?? []).filter((entry) => entry[3] === k);
    const colour = { '--actor': actor.colour };
    const rows = [];
    if (peaks.length) rows.push(this._row('voice', 'wave', this._wave(peaks)));
    if (this.words[k]?.length) {
      const spans = this.words[k].map((word) => {
        const span = this._span(word.start, word.end, word.word, 'said', word.word, word.start);
        word.shown.push(span);
        return span;
      });
      rows.push(this._row('words', 'words', spans));
    }
    const spans = (entries, className, name) =>
      entries.map(([from, to, text]) => this._span(from, to, name(text), className));
    const actions = take.actions?.[k] ?? [];
    if (actions.length) {
      const made = actions.map(([from, to, text]) => this._span(from, to, text, `action ${text}`, text));
      rows.push(this._row('action', 'actions', made));
    }
    const facing = take.facing?.[k] ?? [];
    if (facing.length)
      rows.push(
        this._row(
          'faces partner',
          'facing',
          spans(facing, 'faces', () => 'faces the partner'),
        ),
      );
    const contacts = own(take.contacts);
    if (contacts.length)
      rows.push(
        this._row(
          'touches',
          'contacts',
          spans(contacts, 'contact', (text) => text),
        ),
      );
    const faults = own(take.faults);
    if (faults.length)
      rows.push(
        this._row(
          'faults',
          'faults',
          spans(faults, 'fault', (text) => text),
        ),
      );
    const label = `actor ${actor.id}${actor.gender ? `, ${actor.gender}` : ''}`;
    const group = element('div', { className: 'actor', role: 'group', 'aria-label': label, ...colour });
    const name = element(
      'div',
      { className: 'row name' },
      element('div', { className: 'label', textContent: label }),
    );
    group.append(name, ...rows);
    this.inner.append(group);
  }

  _row(label, className, content) {
    const track = element('div', { className: `track ${className}` }, ...[content].flat());
    track.addEventListener('pointerdown', (event) => this._scrub(event, track));
    track.addEventListener('click', (event) => {
      // a finger that moves scrolls, so only its tap counts
      if (event.pointerType === 'touch' && !event.target.closest('button')) this._go(event, track);
    });
    return element(
      'div',
      { className: 'row' },
      element('div', { className: 'label', textContent: label }),
      track,
    );
  }

  /** A part of a track that goes to its start when clicked. */
  _span(from, to, title, className, text = '', start = from) {
    const button = element('button', {
      type: 'button',
      tabIndex: -1,
      className: `span ${className}`,
      textContent: text,
    });
    button.title = `${title} (${clockText(from)} to ${clockText(to)})`;
    button.setAttribute('aria-label', button.title);
    button.style.left = `${(100 * from) / this.take.seconds}%`;
    button.style.width = `${(100 * (to - from)) / this.take.seconds}%`;
    button.addEventListener('click', () => this.actions.seek(start));
    button.addEventListener('dblclick', () => this.actions.loop(from, to));
    return button;
  }

  _wave(peaks) {
    const points = peaks.map((peak, i) => `${i},${peak / 2}`);
    const below = peaks.map((peak, i) => `${i},${-peak / 2}`).reverse();
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const width = this.take.seconds * this.take.waveforms.rate;
    svg.setAttribute('viewBox', `0 -128 ${width} 256`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'polygon');
    shape.setAttribute('points', [...points, ...below].join(' '));
    svg.append(shape);
    return svg;
  }

  /** Marks at round seconds, as close as there is room for. */
  _ruler() {
    const step =
      [0.5, 1, 2, 5, 10, 30, 60, 120].find(
        (seconds) => (this._track() * seconds) / this.take.seconds > 64,
      ) ?? 300;
    const marks = [];
    for (let i = 0; i * step < this.take.seconds; i++) {
      const mark = element('span', {
        className: 'mark',
        textContent: clockText(i * step).replace(/\.?0+$/, ''),
      });
      if (step >= 1) mark.textContent = clockText(i * step).slice(0, -3);
      mark.style.left = `${(100 * i * step) / this.take.seconds}%`;
      marks.push(mark);
    }
    return marks;
  }

  /** Width of the tracks in pixels. */
  _track() {
    return this.zoom * Math.max(100, this.box.clientWidth - this._gutter());
  }

  _gutter() {
    return parseFloat(getComputedStyle(this.box).getPropertyValue('--gutter')) || 0;
  }

  _x(seconds) {
    return (seconds / this.take.seconds) * this._track();
  }

  /** Lay tracks out for the zoom; text that does not fit its part is left out. */
  _scale() {
    this.inner.style.width = this.zoom === 1 ? '' : `${this._gutter() + this._track()}px`;
    const ruler = this.inner.querySelector('.ruler');
    ruler.replaceChildren(...this._ruler());
    const scale = this._track() / this.take.seconds;
    for (const words of this.words) {
      for (const word of words) {
        const room = (word.end - word.start) * scale;
        word.shown[0].classList.toggle('narrow', room < 6 * word.word.length + 2);
      }
    }
  }

  /** Fit again after the page changed its size. */
  resize() {
    if (this.take) this._scale();
  }

  _follow(seconds) {
    const room = this.box.clientWidth - this._gutter();
    const x = this._x(seconds) - this.box.scrollLeft;
    if (x > 0.9 * room || x < 0) this.box.scrollLeft += x - 0.1 * room;
  }

  /** Follow a mouse or pen with the playhead, from where it is pressed to where it is let go. */
  _scrub(event, track) {
    if (event.button || event.pointerType === 'touch' || event.target.closest('button')) return;
    const go = (moved) => this._go(moved, track);
    track.setPointerCapture(event.pointerId);
    track.addEventListener('pointermove', go);
    const done = () => track.removeEventListener('pointermove', go);
    track.addEventListener('pointerup', done, { once: true });
    track.addEventListener('pointercancel', done, { once: true });
    go(event);
  }

  /** Move the playhead to the frame at a pointer. */
  _go(event, track) {
    const box = track.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const { fps, seconds } = this.take;
    this.actions.seek(Math.round(share * seconds * fps) / fps);
  }

  _wheel(event) {
    if (!this.take || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const box = this.inner.getBoundingClientRect();
    const seconds = ((event.clientX - box.left - this._gutter()) / this._track()) * this.take.seconds;
    this.zoomBy(Math.exp(-event.deltaY / 300), Math.min(this.take.seconds, Math.max(0, seconds)));
  }
}
