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
      element('tr', {}, element('th', { scope: 'row' }, ...Keys._caps(Object.keys(does))), element('td', { textContent: says })),
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
    if ((event.key === ' ' || event.key === 'Enter') && event.target.closest?.('button, a')) return; // presses it
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const does = (event.shiftKey && this.does.get(`Shift+${key}`)) || this.does.get(key);
    if (!does) return;
    event.preventDefault();
    does();
  }
}
