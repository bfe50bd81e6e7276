'use strict';

/** Keyboard shortcuts, each once: what the overlay of help says is what the keys do. */
class Keys {
  /**
   * @param {{says: string, does: Object<string, () => void>}[]} table what each key does, keys as
   *     KeyboardEvent.key gives them, small letters, "Shift+" before those that need it
   * @param {HTMLDialogElement} dialog where the table is shown
   */
  constructor(table, dialog) {
    this.dialog = dialog;
    this.does = new Map(table.flatMap(({ does }) => Object.entries(does)));
    const rows = table.map(({ says, does }) =>
      element(
        'tr',
        {},
        element('th', { scope: 'row' }, ...Keys._caps(Object.keys(does))),
        element('td', { textContent: says }),
      ),
    );
    dialog.querySelector('tbody').replaceChildren(...rows);
    document.addEventListener('keydown', (event) => this._key(event));
  }

  static NAMES = { ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓' };

  static _caps(keys) {
    return keys.flatMap((key, i) => {
      const caps = key.split('+').map((part) => element('kbd', { textContent: Keys.NAMES[part] ?? part }));
      return i ? [' ', ...caps] : caps;
    });
  }

  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.dialog.open) return;
    const typing = event.target.closest?.('input:not([type=range]), select, textarea');
    if (typing) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const presses = event.key === ' ' || event.key === 'Enter';
    if (presses && event.target.closest?.('button, a')) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const does = (event.shiftKey && this.does.get(`Shift+${key}`)) || this.does.get(key);
    if (!does) return;
    event.preventDefault();
    does();
  }
}

/** What the keys do in the viewer, for Keys. */
function shortcuts(app) {
  const { clock, timeline } = app;
  const words = (step) =>
    app.jump(
      timeline.words.flat().map((word) => word.start),
      step,
    );
  const events = (step) =>
    app.jump(
      [...(app.take?.faults ?? []), ...(app.take?.contacts ?? [])].map(([from]) => from),
      step,
    );
  const help = document.getElementById('help');
  return [
    { says: 'play or pause', does: { ' ': () => clock.toggle(), k: () => clock.toggle() } },
    {
      says: 'one frame back, on',
      does: { ArrowLeft: () => clock.step(-1), ArrowRight: () => clock.step(1) },
    },
    {
      says: 'one second back, on',
      does: {
        'Shift+ArrowLeft': () => clock.seek(clock.now() - 1),
        'Shift+ArrowRight': () => clock.seek(clock.now() + 1),
      },
    },
    { says: 'start, end', does: { Home: () => clock.seek(0), End: () => clock.seek(clock.last) } },
    { says: 'next word, the one before', does: { w: () => words(1), 'Shift+w': () => words(-1) } },
    {
      says: 'next contact or fault, the one before',
      does: { x: () => events(1), 'Shift+x': () => events(-1) },
    },
    {
      says: 'loop from here, to here, no more',
      does: {
        '[': () => app.loopFrom(),
        ']': () => app.loopTo(),
        '\\': () => clock.setLoop(null, null),
      },
    },
    { says: 'slower, faster', does: { '-': () => app.nextSpeed(-1), '=': () => app.nextSpeed(1) } },
    { says: 'sound on or off', does: { m: () => clock.setMuted(!clock.audio.muted) } },
    { says: 'generated beside it, or not', does: { g: () => app.toggleGenerated() } },
    { says: 'side by side, or overlaid', does: { o: () => app.toggleLayout() } },
    {
      says: 'next sample, the one before',
      does: { s: () => app.switchTo('sample', 1), 'Shift+s': () => app.switchTo('sample', -1) },
    },
    {
      says: 'next method, the one before',
      does: { d: () => app.switchTo('method', 1), 'Shift+d': () => app.switchTo('method', -1) },
    },
    { says: 'camera: all in view', does: { b: () => app.look('both') } },
    { says: 'camera: follow an actor, then the other', does: { f: () => app.nextActor('follow') } },
    {
      says: 'camera: through the eyes of an actor, then of the other',
      does: { e: () => app.nextActor('eyes') },
    },
    {
      says: 'tracks wider, less wide',
      does: { ArrowUp: () => timeline.zoomBy(1.5), ArrowDown: () => timeline.zoomBy(1 / 1.5) },
    },
    { says: 'next take, the one before', does: { n: () => app.beside(1), p: () => app.beside(-1) } },
    {
      says: 'list of takes',
      does: { t: () => app.listOpen(!document.body.classList.contains('list-open')) },
    },
    { says: 'search takes', does: { '/': () => app.searchTakes() } },
    { says: 'copy a link to this take and time', does: { c: () => app.copy() } },
    { says: 'this help', does: { '?': () => help.showModal() } },
  ];
}
