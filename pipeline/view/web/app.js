'use strict';

/** The viewer: the state of what is open, and what joins its parts. */
class App {
  static SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];

  constructor() {
    const find = (id) => document.getElementById(id);
    const named = 'title facts first second layout camera list message loading time seek';
    this.parts = Object.fromEntries(named.split(' ').map((id) => [id, find(id)]));
    this.take = null;
    this.ready = false;
    this.show = [];
    this.layout = 'side';
    this.mode = { kind: 'both', actor: 0 };
    this.shownTime = -1;
    this.pictures = 0;
    this.clock = new Clock(document.querySelector('audio'), () => this.changed());
    const actions = {
      seek: (seconds) => this.clock.seek(seconds),
      loop: (from, to) => this.clock.setLoop(from, to),
    };
    this.timeline = new Timeline(find('timeline'), actions);
    this.panel = new Panel(find('panel'), actions.seek);
    this.captions = new Captions(find('captions'));
    this.stage = Stage.drawer() ? new Stage(find('stage'), () => this.request()) : null;
    if (!this.stage) {
      this.tell(
        'This browser shows no 3-D pictures: WebGL is missing or switched off.' +
          ' Sound, words and tracks work without it.',
      );
    }
    this.takes = new TakeList(this.parts.list, files.list(), (take) => this.address(take));
    document.body.classList.toggle('alone', this.takes.takes.length < 2 && files.carried());
    this.buttons();
    this.keys = new Keys(shortcuts(this), find('help'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.stage?.theme());
    window.addEventListener('hashchange', () => this.follow());
    window.addEventListener('resize', () => this.timeline.resize());
    document.addEventListener('visibilitychange', () => this.request());
    // while the page is hidden, nothing is drawn, and a loop goes on
    this.clock.audio.addEventListener('timeupdate', () => document.hidden && this.clock.now());
    this.follow();
  }

  /** Where a row of the list goes. */
  address(take) {
    if (location.protocol === 'file:' && !files.carried() && take.page) return take.page;
    return `#take=${encodeURIComponent(take.take)}`;
  }

  /** Do what the address says. */
  follow() {
    this.hash = location.hash;
    const wanted = new URLSearchParams(location.hash.slice(1));
    const name = wanted.get('take') ?? (files.carried() ? this.takes.takes[0].take : null);
    if (!name) this.listOpen(true);
    else if (name !== this.name) this.open(name, wanted);
    else if (this.ready) this.apply(wanted);
  }

  /** Open a take, as far as `wanted` asks at a time and with variants of its own. */
  async open(name, wanted) {
    this.name = name;
    this.opening?.abort();
    const mine = (this.opening = new AbortController());
    this.ready = false;
    this.take = null;
    this.clock.close();
    this.timeline.close();
    this.panel.close();
    this.captions.close();
    this.stage?.close();
    const wide = window.innerWidth >= 1200;
    if (!wide) this.listOpen(false);
    else if (document.body.classList.contains('no-take')) this.listOpen(this.takes.takes.length > 1);
    document.body.classList.remove('no-take');
    document.title = name;
    this.parts.title.textContent = name;
    this.parts.facts.textContent = '';
    if (this.stage) this.tell('');
    this.wait('Loading …');
    this.takes.mark(name);
    try {
      if (location.protocol === 'file:' && !files.carried()) {
        throw new Error(
          'A browser reads no files beside a page from disk: open the page of the take itself.',
        );
      }
      const { signal } = mine;
      const take = await files.take(name, signal);
      if (mine !== this.opening) return;
      this.present(take);
      const told = (come, all) => {
        const size = (bytes) => (bytes / 1e6).toFixed(1);
        if (mine === this.opening) this.wait(`Loading ${size(come)}${all ? ` of ${size(all)}` : ''} MB`);
      };
      const sound = take.audio
        ? files.bytes(name, take.audio, 'audio', { signal }).catch((error) => error)
        : null;
      const glb = this.stage ? await files.bytes(name, take.glb, 'glb', { signal, told }) : null;
      const heard = await sound;
      if (mine !== this.opening) return;
      if (glb) await this.stage.open(glb, take, signal);
      if (mine !== this.opening) return;
      const failed = heard instanceof Error;
      this.clock.open(
        take.seconds,
        take.fps,
        heard && !failed ? new Blob([heard], { type: 'audio/flac' }) : null,
      );
      if (failed) this.clock.complaint = heard.message;
      this.take = take;
      this.shownTime = -1;
      this.ready = true;
      this.apply(wanted);
      this.wait('');
    } catch (error) {
      if (mine !== this.opening) return;
      this.wait('');
      this.tell(error.message);
    }
  }

  /** Take variants, layout, camera and time from an address. */
  apply(wanted) {
    const { take } = this;
    const known = (keys) =>
      [...new Set(keys)].filter((key) => take.variants.some((one) => one.key === key)).slice(0, 2);
    const asked = known((wanted.get('show') ?? '').split(','));
    const kept = known(this.show);
    this.show = asked.length ? asked : kept.length ? kept : [take.variants[0].key];
    if (wanted.get('view')) this.layout = wanted.get('view') === 'over' ? 'over' : 'side';
    const [kind, id] = (wanted.get('camera') ?? '').split(':');
    const actor = take.actors.findIndex((one) => one.id === id);
    if (['follow', 'eyes'].includes(kind) && actor >= 0) this.mode = { kind, actor };
    else if (kind === 'both' || this.mode.actor >= take.actors.length)
      this.mode = { kind: 'both', actor: 0 };
    this.pictured();
    this.clock.seek(Number(wanted.get('t')) || 0);
  }

  /** Show all of a take but its pictures. */
  present(take) {
    const facts = [
      take.relationship,
      take.emotion,
      take.actors.map((actor) => actor.id).join(' and '),
      `${take.seconds.toFixed(1)} s`,
      take.split,
      take.verdict && `verdict: ${take.verdict}`,
    ];
    this.parts.facts.textContent = facts.filter(Boolean).join(' · ');
    this.parts.facts.title = [this.parts.facts.textContent, take.scenario].filter(Boolean).join('\n');
    this.choices(take);
    this.timeline.open(take);
    const phrases = this.timeline.phrases();
    this.panel.open(take, phrases, (word) => this.timeline.wordButton(word));
    this.captions.open(take, phrases);
    this.parts.seek.max = take.seconds - 1 / take.fps;
  }

  /** Fill the selects of variants and cameras. */
  choices(take) {
    const groups = () => {
      const found = new Map();
      for (const { key, label, group } of take.variants) {
        if (!found.has(group)) found.set(group, []);
        found.get(group).push(element('option', { value: key, textContent: label }));
      }
      return [...found].map(([label, options]) =>
        options.length > 1 ? element('optgroup', { label }, ...options) : options[0],
      );
    };
    this.parts.first.replaceChildren(...groups());
    this.parts.second.replaceChildren(
      element('option', { value: '', textContent: 'nothing' }),
      ...groups(),
    );
    const one = take.variants.length < 2;
    document.getElementById('beside').hidden = one;
    this.parts.camera.replaceChildren(
      element('option', {
        value: 'both',
        textContent: take.actors.length > 1 ? 'both in view' : 'all in view',
      }),
      ...['follow', 'eyes'].flatMap((kind) =>
        take.actors.map((actor) =>
          element('option', {
            value: `${kind}:${actor.id}`,
            textContent: kind === 'eyes' ? `eyes of ${actor.id}` : `follow ${actor.id}`,
          }),
        ),
      ),
    );
  }

  /** Show the chosen variants from the chosen camera. */
  pictured() {
    const { parts, stage, take } = this;
    parts.first.value = this.show[0];
    parts.second.value = this.show[1] ?? '';
    parts.layout.value = this.layout;
    parts.layout.hidden = this.show.length < 2;
    parts.camera.value =
      this.mode.kind === 'both' ? 'both' : `${this.mode.kind}:${take.actors[this.mode.actor].id}`;
    if (stage) {
      stage.time = this.clock.now();
      if (stage.views.mode !== this.mode) stage.views.moved = false;
      stage.views.mode = this.mode;
      stage.show(this.show, this.layout);
    }
    this.remember();
    this.request();
  }

  /** @param {string[]} keys one or two variants */
  choose(keys) {
    if (!this.ready) return;
    this.show = keys.filter((key, i) => key && keys.indexOf(key) === i);
    this.pictured();
  }

  look(kind, actor = 0) {
    if (!this.ready) return;
    this.mode = { kind, actor };
    this.parts.camera.value = kind === 'both' ? 'both' : `${kind}:${this.take.actors[actor].id}`;
    this.stage?.look(this.mode);
    this.remember();
    this.request();
  }

  /** The clock changed: show it, and write the address when it stands still. */
  changed() {
    const { clock } = this;
    const play = document.getElementById('play');
    play.setAttribute('aria-label', clock.playing ? 'Pause' : 'Play');
    play.querySelector('use').setAttribute('href', clock.playing ? '#i-pause' : '#i-play');
    const mute = document.getElementById('mute');
    const silent = clock.audio.muted || !clock.hasSound;
    mute.setAttribute('aria-pressed', String(!silent));
    mute.querySelector('use').setAttribute('href', silent ? '#i-mute' : '#i-sound');
    mute.disabled = !clock.hasSound;
    document.getElementById('speed').value = String(clock.speed);
    document.getElementById('loop-off').hidden = !clock.loop;
    this.timeline.showLoop(clock.loop);
    if (clock.complaint && clock.complaint !== this.complained) this.toast(`No sound: ${clock.complaint}`);
    this.complained = clock.complaint;
    if (!clock.playing) this.remember();
    this.request();
  }

  /** Ask for a picture; one is drawn for all that ask before it. */
  request() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame((now) => {
      const since = this.clock.playing && this.before ? now - this.before : null;
      this.before = this.clock.playing ? now : 0;
      this.stage?.keepUp(since);
      this.draw();
      this.asked = false;
      if (this.clock.playing) this.request();
    });
  }

  draw() {
    if (!this.ready) return this.stage?.render();
    const seconds = this.clock.now();
    const { parts, take } = this;
    if (seconds !== this.shownTime) {
      this.shownTime = seconds;
      this.stage?.setTime(seconds);
      const frame = Math.round(seconds * take.fps);
      parts.time.replaceChildren(
        clockText(seconds),
        element('span', { textContent: ` / ${clockText(take.seconds)}` }),
      );
      parts.time.title = `frame ${frame} of ${take.frames}`;
      parts.time.dataset.frame = frame;
      if (document.activeElement !== parts.seek || this.clock.playing) parts.seek.value = String(seconds);
      parts.seek.setAttribute('aria-valuetext', `${seconds.toFixed(2)} seconds`);
    }
    this.timeline.update(seconds, this.clock.playing);
    this.panel.light(this.captions.update(seconds));
    this.stage?.render();
    this.pictures += 1;
  }

  /** Write take, time and what is shown into the address, a moment later: browsers limit how often. */
  remember() {
    clearTimeout(this.remembering);
    this.remembering = setTimeout(() => {
      // who has just followed a link goes where it says
      if (!this.ready || location.hash !== this.hash) return;
      history.replaceState(null, '', this.link());
      this.hash = location.hash;
    }, 200);
  }

  /** The address of what is seen now. */
  link() {
    const parts = [`take=${encodeURIComponent(this.take.take)}`, `t=${this.clock.now().toFixed(3)}`];
    parts.push(`show=${this.show.map(encodeURIComponent).join(',')}`, `view=${this.layout}`);
    if (this.mode.kind !== 'both')
      parts.push(`camera=${this.mode.kind}:${encodeURIComponent(this.take.actors[this.mode.actor].id)}`);
    return `${location.href.split('#')[0]}#${parts.join('&')}`;
  }

  async copy() {
    if (!this.ready) return;
    const link = this.link();
    try {
      await navigator.clipboard.writeText(link);
      this.toast('Link copied.');
    } catch {
      history.replaceState(null, '', link);
      this.hash = location.hash;
      this.toast('The link is in the address bar.'); // this browser lets no page copy
    }
  }

  /** @param {string} text what stands in place of the pictures; empty: the pictures */
  tell(text) {
    this.parts.message.hidden = !text;
    this.parts.message.textContent = text;
  }

  wait(text) {
    this.parts.loading.hidden = !text;
    this.parts.loading.textContent = text;
  }

  toast(text) {
    const toast = document.getElementById('toast');
    toast.textContent = text;
    toast.classList.add('seen');
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => toast.classList.remove('seen'), 2500);
  }

  listOpen(open) {
    document.body.classList.toggle('list-open', open);
    document.getElementById('list-toggle').setAttribute('aria-expanded', String(open));
  }

  beside(step) {
    const take = this.takes.beside(step);
    if (take) location.href = this.address(take);
  }

  /** Another sample of the method that is shown last, or the first sample of another method. */
  switchTo(kind, step) {
    if (!this.ready) return;
    const place = this.show.length - 1;
    const now = this.take.variants.find((variant) => variant.key === this.show[place]);
    const firsts = this.take.variants.filter(
      (one, i, all) => all.findIndex((other) => other.group === one.group) === i,
    );
    const among = kind === 'sample' ? this.take.variants.filter((one) => one.group === now.group) : firsts;
    const i = among.findIndex((one) => (kind === 'sample' ? one.key === now.key : one.group === now.group));
    const next = among[(i + step + among.length) % among.length];
    if (next.key === this.show[1 - place]) return;
    this.choose(this.show.map((key, k) => (k === place ? next.key : key)));
  }

  /** Show something generated beside what is there, or no more. */
  toggleGenerated() {
    if (!this.ready) return;
    if (this.show.length > 1) {
      this.generated = this.show[1];
      this.choose([this.show[0]]);
      return;
    }
    const others = this.take.variants.filter((one) => one.key !== this.show[0]);
    const other =
      others.find((one) => one.key === this.generated) ??
      others.find((one) => one.group !== 'captured') ??
      others[0];
    if (other) this.choose([this.show[0], other.key]);
    else this.toast('This take has one variant only.');
  }

  toggleLayout() {
    if (!this.ready) return;
    this.layout = this.layout === 'side' ? 'over' : 'side';
    this.pictured();
  }

  /** Follow, or look through the eyes of, the next actor. */
  nextActor(kind) {
    if (!this.ready) return;
    const actor =
      this.mode.kind === kind ? (this.mode.actor + 1) % this.take.actors.length : this.mode.actor;
    this.look(kind, actor);
  }

  nextSpeed(step) {
    const place = App.SPEEDS.indexOf(this.clock.speed);
    this.clock.setSpeed(App.SPEEDS[Math.min(App.SPEEDS.length - 1, Math.max(0, place + step))]);
  }

  /** Go to the nearest later (or earlier) start among times. */
  jump(times, step) {
    const now = this.clock.now();
    const sorted = [...new Set(times)].sort((a, b) => a - b);
    const next = step > 0 ? sorted.find((t) => t > now + 0.01) : sorted.findLast((t) => t < now - 0.01);
    if (next !== undefined) this.clock.seek(next);
  }

  loopFrom() {
    const now = this.clock.now();
    const to = this.clock.loop?.[1];
    this.clock.setLoop(now, to > now ? to : null);
  }

  loopTo() {
    const now = this.clock.now();
    const from = this.clock.loop?.[0];
    this.clock.setLoop(from < now ? from : null, now);
  }

  buttons() {
    const on = (id, does) => document.getElementById(id).addEventListener('click', does);
    const { clock, parts } = this;
    on('play', () => clock.toggle());
    on('back', () => clock.step(-1));
    on('on', () => clock.step(1));
    on('loop-a', () => this.loopFrom());
    on('loop-b', () => this.loopTo());
    on('loop-off', () => clock.setLoop(null, null));
    on('mute', () => clock.setMuted(!clock.audio.muted));
    on('zoom-in', () => this.timeline.zoomBy(1.5));
    on('zoom-out', () => this.timeline.zoomBy(1 / 1.5));
    on('copy', () => this.copy());
    on('help-open', () => document.getElementById('help').showModal());
    on('list-toggle', () => this.listOpen(!document.body.classList.contains('list-open')));
    const speed = document.getElementById('speed');
    speed.append(
      ...App.SPEEDS.map((value) => element('option', { value: String(value), textContent: `${value}×` })),
    );
    speed.value = '1';
    speed.addEventListener('change', () => clock.setSpeed(Number(speed.value)));
    parts.seek.addEventListener('input', () => {
      if (this.ready) clock.seek(Math.round(parts.seek.value * this.take.fps) / this.take.fps);
    });
    parts.first.addEventListener('change', () => this.choose([parts.first.value, parts.second.value]));
    parts.second.addEventListener('change', () => this.choose([parts.first.value, parts.second.value]));
    parts.layout.addEventListener('change', () => this.toggleLayout());
    parts.camera.addEventListener('change', () => {
      const [kind, id] = parts.camera.value.split(':');
      const actor = this.ready ? this.take.actors.findIndex((one) => one.id === id) : 0;
      this.look(kind, Math.max(0, actor));
    });
    parts.list.addEventListener('click', (event) => {
      if (event.target.closest('a.take') && window.innerWidth < 760) this.listOpen(false);
    });
    document.addEventListener('click', (event) => {
      // a button that a pointer pressed gives Space back to playing
      if (event.detail > 0) event.target.closest?.('button')?.blur();
    });
    document.addEventListener('change', (event) =>
      event.target.closest?.('header select, #transport select')?.blur(),
    );
    document
      .querySelector('#stage canvas')
      .addEventListener('dblclick', () => this.look(this.mode.kind, this.mode.actor));
  }

  /** Open the list of takes, ready to type. */
  searchTakes() {
    this.listOpen(true);
    this.takes.search.focus();
  }

  /** What scripts and tests reach as `window.viewer`. */
  doors() {
    return {
      /** What is open and shown. */
      state: () => ({
        take: this.name ?? null,
        ready: this.ready,
        time: this.clock.now(),
        seconds: this.clock.duration,
        playing: this.clock.playing,
        speed: this.clock.speed,
        sound: this.clock.hasSound,
        loop: this.clock.loop,
        show: [...this.show],
        view: this.layout,
        camera: this.parts.camera.value,
        pictures: this.pictures,
        message: this.parts.message.textContent,
      }),
      /** Go to a second of the take. */
      seek: (seconds) => this.clock.seek(seconds),
      /** Where a joint of a character of take.json is in the page: [x, y] in CSS pixels; null if not seen. */
      jointOnScreen: (character, joint, slot = 0) => {
        this.draw();
        return this.stage?.jointOnScreen(character, joint, slot) ?? null;
      },
      /** Matrices (16 numbers, by columns) and place [left, top, width, height] of the first picture. */
      camera: () => this.stage?.view() ?? null,
      /** Objects on the graphics card, bytes of JavaScript where the browser tells them, open sounds. */
      memory: () => ({
        ...this.stage?.memory(),
        heap: performance.memory?.usedJSHeapSize ?? null,
        sounds: this.clock.url ? 1 : 0,
      }),
    };
  }
}

{
  const app = new App();
  window.viewer = app.doors();
}
