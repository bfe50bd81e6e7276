'use strict';

/**
 * The list of takes: search, filters, order. It holds elements for the rows in sight only, so that thousands
 * of takes scroll and filter at once.
 */
class TakeList {
  /** What takes can be ordered by. */
  static ORDERS = {
    take: (a, b) => a.take.localeCompare(b.take),
    shortest: (a, b) => a.seconds - b.seconds,
    longest: (a, b) => b.seconds - a.seconds,
    relationship: (a, b) => a.relationship.localeCompare(b.relationship),
    emotion: (a, b) => a.emotion.localeCompare(b.emotion),
    verdict: (a, b) => a.verdict.localeCompare(b.verdict),
  };
  static FILTERS = ['relationship', 'emotion', 'verdict', 'split'];

  /**
   * @param {HTMLElement} box
   * @param {object[]} takes as the page lists them
   * @param {(take: object) => string} address where a click on a take goes
   */
  constructor(box, takes, address) {
    this.box = box;
    this.takes = takes.map((take) => ({
      ...take,
      text: [take.take, ...take.actors, take.relationship, take.emotion, take.verdict, take.split]
        .join(' ')
        .toLowerCase(),
    }));
    this.address = address;
    this.current = '';
    this.active = 0;
    this.rows = box.querySelector('.rows');
    this.search = box.querySelector('input[type=search]');
    this.order = box.querySelector('select[name=order]');
    this.count = box.querySelector('.count');
    for (const name of TakeList.FILTERS) this._fill(name);
    box.querySelector('form').addEventListener('input', () => this.filter());
    box.querySelector('form').addEventListener('submit', (event) => event.preventDefault());
    box.querySelector('form').addEventListener('reset', () => setTimeout(() => this.filter()));
    this.spacer = element('div', { className: 'spacer' });
    this.sight = element('div');
    this.rows.append(this.spacer, this.sight);
    this.rows.addEventListener('scroll', () => this._draw());
    this.rows.addEventListener('keydown', (event) => this._key(event));
    this.search.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown' || event.key === 'Enter') this._focus(0, event);
    });
    new ResizeObserver(() => this._draw(true)).observe(this.rows);
    this.filter();
  }

  /** Show what fits search and filters, in order. */
  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = TakeList.FILTERS.map((name) => [name, this._select(name).value]).filter(
      ([, value]) => value,
    );
    this.found = this.takes.filter(
      (take) =>
        words.every((word) => take.text.includes(word)) &&
        chosen.every(([name, value]) => take[name] === value),
    );
    const order = TakeList.ORDERS[this.order.value] ?? TakeList.ORDERS.take;
    this.found.sort((a, b) => order(a, b) || TakeList.ORDERS.take(a, b));
    const all = this.takes.length;
    const n = this.found.length;
    this.count.textContent = n === all ? `${all} ${all === 1 ? 'take' : 'takes'}` : `${n} of ${all} takes`;
    this.active = Math.max(
      0,
      this.found.findIndex((take) => take.take === this.current),
    );
    this.rows.scrollTop = 0;
    this._draw(true);
  }

  /** @param {string} name the take that is open */
  mark(name) {
    this.current = name;
    const place = this.found.findIndex((take) => take.take === name);
    if (place >= 0) {
      this.active = place;
      this._reveal(place);
    }
    this._draw(true);
  }

  /** The take so many places after the open one, null beyond the ends. */
  beside(step) {
    const place = this.found.findIndex((take) => take.take === this.current);
    return place < 0 ? null : (this.found[place + step] ?? null);
  }

  _select(name) {
    return this.box.querySelector(`select[name=${name}]`);
  }

  _fill(name) {
    const counts = new Map();
    for (const take of this.takes) counts.set(take[name], (counts.get(take[name]) ?? 0) + 1);
    counts.delete('');
    const select = this._select(name);
    select.closest('label').hidden = counts.size === 0;
    for (const value of [...counts.keys()].sort()) {
      select.append(element('option', { value, textContent: `${value} (${counts.get(value)})` }));
    }
  }

  _height() {
    return parseFloat(getComputedStyle(this.rows).getPropertyValue('--row')) || 48;
  }

  /** Make the rows in sight. */
  _draw(again = false) {
    const height = this._height();
    const first = Math.max(0, Math.floor(this.rows.scrollTop / height) - 4);
    const last = Math.min(this.found.length, first + Math.ceil(this.rows.clientHeight / height) + 8);
    if (!again && this.drawn === `${first} ${last}`) return;
    this.drawn = `${first} ${last}`;
    const focused = this.rows.contains(document.activeElement);
    this.spacer.style.height = `${this.found.length * height}px`;
    const rows = [];
    for (let i = first; i < last; i++) rows.push(this._row(this.found[i], i, height));
    if (!this.found.length) rows.push(element('p', { className: 'none', textContent: 'No take fits.' }));
    this.sight.replaceChildren(...rows);
    if (focused) this.rows.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  _row(take, i, height) {
    const cell = (className, text) => element('span', { className, textContent: text });
    const row = element(
      'a',
      {
        href: this.address(take),
        className: 'take',
        tabIndex: i === this.active ? 0 : -1,
        'aria-setsize': this.found.length,
        'aria-posinset': i + 1,
        'data-place': i,
      },
      cell('name', take.take),
      cell('time', `${Number(take.seconds).toFixed(1)} s`),
      cell(
        'kind',
        [take.relationship, take.emotion].filter(Boolean).join(' · ') ||
          (take.actors[0] === take.take ? '' : take.actors.join(', ')),
      ),
      cell('people', take.actors.join(', ')),
      cell('many', take.variants > 1 ? `${take.variants} variants` : ''),
      cell('split', take.split),
      cell(`verdict ${take.verdict}`, take.verdict),
    );
    if (take.take === this.current) row.setAttribute('aria-current', 'true');
    row.style.top = `${i * height}px`;
    return row;
  }

  _reveal(place) {
    const height = this._height();
    const { scrollTop, clientHeight } = this.rows;
    if (place * height < scrollTop) this.rows.scrollTop = place * height;
    else if ((place + 1) * height > scrollTop + clientHeight)
      this.rows.scrollTop = (place + 1) * height - clientHeight;
  }

  _focus(place, event) {
    if (!this.found.length) return;
    event.preventDefault();
    this.active = Math.min(this.found.length - 1, Math.max(0, place));
    this._reveal(this.active);
    this._draw(true);
    this.rows.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
  }

  _key(event) {
    const page = Math.max(1, Math.floor(this.rows.clientHeight / this._height()) - 1);
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    if (event.key === 'ArrowUp' && this.active === 0) {
      event.preventDefault();
      this.search.focus();
    } else this._focus(this.active + steps[event.key], event);
  }
}
