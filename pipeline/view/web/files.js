'use strict';

/** Where takes come from: inlined into the page, or files beside it. */
const files = {
  inlined: (id) => document.getElementById(id)?.textContent ?? null,

  /** All takes that the page lists. */
  list() {
    return JSON.parse(files.inlined('takes') ?? '[]');
  },

  /** Whether the page carries its one take. */
  carried() {
    return files.inlined('take-file') !== null;
  },

  /** What take.json says of a take. */
  async take(name, signal) {
    if (files.carried()) return JSON.parse(files.inlined('take-file'));
    return (await files.fetched(`takes/${encodeURIComponent(name)}/take.json`, signal)).json();
  },

  /** The bytes of a take's GLB or sound; `told` hears how many have come, and of how many, 0 if unknown. */
  async bytes(name, file, id, { signal, told = () => {} }) {
    if (files.carried()) {
      const text = atob(files.inlined(id).trim());
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes.buffer;
    }
    const address = `takes/${encodeURIComponent(name)}/${encodeURIComponent(file)}`;
    const response = await files.fetched(address, signal);
    const all = Number(response.headers.get('content-length')) || 0;
    const parts = [];
    let come = 0;
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      told((come += value.length), all);
    }
    return new Blob(parts).arrayBuffer();
  },

  /** A response, or an error that says in one line why not: the server's own words where it has some. */
  async fetched(address, signal) {
    let response;
    try {
      response = await fetch(address, { signal });
    } catch {
      throw new Error(`${address}: no answer; is the server of this page still running?`);
    }
    if (response.ok) return response;
    const plain = (response.headers.get('content-type') ?? '').startsWith('text/plain');
    const line = plain ? (await response.text()).trim().split('\n')[0] : '';
    throw new Error(line || `${address}: the server answers ${response.status} ${response.statusText}`);
  },
};
