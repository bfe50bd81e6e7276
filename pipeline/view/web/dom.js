'use strict';

/** An element with properties, attributes (`aria-...`, `data-...`), variables of style (`--...`), children */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('--')) made.style.setProperty(name, value);
    else if (name.includes('-') || name === 'role') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Seconds as m:ss.ss. */
function clockText(seconds) {
  const hundredths = Math.round(100 * seconds);
  const rest = hundredths % 6000;
  return `${Math.floor(hundredths / 6000)}:${String((rest / 100).toFixed(2)).padStart(5, '0')}`;
}

/** The place of the last entry that starts at or before a time, -1 where none does; entries are in order. */
function lastStarted(entries, seconds) {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle].start <= seconds + 1e-3) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
