'use strict';

/** What stands beside the pictures: words, touches, faults, and what is known of the take. */
class Panel {
  /**
   * @param {HTMLElement} box with a list of tabs and a body
   * @param {(seconds: number) => void} seek goes to a moment
   */
  constructor(box, seek) {
    this.tabs = box.querySelector('[role=tablist]');
    this.body = box.querySelector('[role=tabpanel]');
    this.seek = seek;
    this.now = null;
    this.tabs.addEventListener('keydown', (event) => this._key(event));
  }

  /**
   * @param {object} take its take.json
   * @param {object[]} phrases of both actors in order, as Timeline has them
   * @param {(word: object) => HTMLElement} wordButton makes what shows a word
   */
  open(take, phrases, wordButton) {
    this.take = take;
    this.now = null;
    for (const phrase of phrases) phrase.shown = this._phrase(phrase, wordButton);
    const tabs = [
      ['Words', phrases.map((phrase) => phrase.shown)],
      [`Touches ${take.contacts.length}`, this._events(take.contacts)],
      [`Faults ${take.faults.length}`, this._events(take.faults)],
      ['About', [Panel._about(take)]],
    ].filter(([, content]) => content.length);
    this.tabs.replaceChildren(...tabs.map(([name, content], i) => this._tab(name, content, i)));
    this.tabs.firstChild.click();
  }

  /** Hold no take. */
  close() {
    this.tabs.replaceChildren();
    this.body.replaceChildren();
  }

  /** Light the phrase that began last among those said now, and keep it in sight. */
  light(phrase) {
    if (!phrase || phrase === this.now) return;
    this.now?.shown.classList.remove('now');
    phrase.shown.classList.add('now');
    this.now = phrase;
    if (!phrase.shown.isConnected) return;
    this.body.scrollTop = phrase.shown.offsetTop - this.body.offsetTop - this.body.clientHeight / 3;
  }

  _tab(name, content, i) {
    const button = element('button', { type: 'button', role: 'tab', id: `tab-${i}`, textContent: name });
    button.setAttribute('aria-controls', this.body.id);
    button.addEventListener('click', () => {
      for (const other of this.tabs.children) {
        other.setAttribute('aria-selected', String(other === button));
        other.tabIndex = other === button ? 0 : -1;
      }
      this.body.replaceChildren(...content);
      this.body.setAttribute('aria-labelledby', button.id);
      this.body.scrollTop = 0;
    });
    return button;
  }

  /** Arrow keys go from tab to tab. */
  _key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const tabs = [...this.tabs.children];
    const next = tabs[tabs.indexOf(event.target) + step];
    if (!step) return;
    event.stopPropagation();
    next?.click();
    next?.focus();
  }

  _who(k) {
    const { id, colour } = this.take.actors[k];
    return element('span', { className: 'who', textContent: id, '--actor': colour });
  }

  _go(seconds) {
    const button = element('button', {
      type: 'button',
      className: 'moment',
      textContent: clockText(seconds),
    });
    button.addEventListener('click', () => this.seek(seconds));
    return button;
  }

  _phrase({ actor, start, words }, wordButton) {
    const said = element('span', {}, ...words.flatMap((word) => [wordButton(word), ' ']));
    const colour = { '--actor': this.take.actors[actor].colour };
    return element('p', { className: 'phrase', ...colour }, this._who(actor), this._go(start), said);
  }

  _events(entries) {
    return entries.map(([from, , text, k]) =>
      element(
        'p',
        { className: 'event' },
        this._go(from),
        this._who(k),
        element('span', { textContent: text }),
      ),
    );
  }

  /** What is known of a take, as a list of names and texts. */
  static _about(take) {
    const actors = take.actors.map(({ id, gender }) => [id, gender].filter(Boolean).join(', '));
    const rows = [
      ['scenario', take.scenario],
      ['actors', actors.join('; ')],
      ['relationship', take.relationship],
      ['emotion', take.emotion],
      ['split', take.split],
      ['verdict', take.verdict],
      ['length', `${take.seconds.toFixed(2)} s, ${take.frames} frames at ${take.fps} a second`],
      ['variants', take.variants.map((variant) => variant.label).join('; ')],
      ...take.notes.map((note) => ['note', note]),
    ].filter(([, text]) => text);
    const cell = (tag, textContent) => element(tag, { textContent });
    return element('dl', {}, ...rows.flatMap(([name, text]) => [cell('dt', name), cell('dd', text)]));
  }
}

/** Over the pictures: the phrases that are said now, a line for each actor, with the word that is said. */
class Captions {
  /** Seconds for which a phrase stays after its last word; words of a long phrase that are seen at once. */
  static STAYS = 0.4;
  static WORDS = 11;

  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
  }

  /** @param {object} take its take.json @param {object[]} phrases of both actors in order */
  open(take, phrases) {
    this.take = take;
    this.phrases = phrases;
  }

  close() {
    this.shown = '';
    this.box.replaceChildren();
  }

  /** Show a moment; returns the phrase that began last among those said then. */
  update(seconds) {
    const said = (phrase) => phrase.start <= seconds + 1e-3 && seconds < phrase.end + Captions.STAYS;
    const now = this.take.actors.map((_, k) =>
      this.phrases.findLast((one) => one.actor === k && said(one)),
    );
    const words = now.map((phrase) => (phrase ? lastStarted(phrase.words, seconds) : -1));
    const shown = now.map((phrase, k) => `${phrase?.start} ${words[k]}`).join();
    if (shown !== this.shown) {
      this.shown = shown;
      this.box.replaceChildren(
        ...now.flatMap((phrase, k) => (phrase ? [this._line(phrase, words[k])] : [])),
      );
    }
    return now.filter(Boolean).sort((a, b) => b.start - a.start)[0] ?? null;
  }

  _line({ actor, words }, now) {
    const from = Math.max(0, Math.min(now - 5, words.length - Captions.WORDS));
    const spans = words
      .slice(from, from + Captions.WORDS)
      .map(({ word }, i) =>
        element('span', { className: from + i === now ? 'now' : '', textContent: `${word} ` }),
      );
    return element('p', { '--actor': this.take.actors[actor].colour }, ...spans);
  }
}
