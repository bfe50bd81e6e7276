'use strict';

/**
 * The pictures of a take: bodies, and faces beside them, drawn by three.js into one canvas.
 *
 * The canvas is cut into *panels*. A body panel shows one variant of the take, or several over each other;
 * all body panels have one camera. A face panel shows one head from the front, by a camera that the head
 * carries. A *slot* is one variant that is shown.
 */
class Stage {
  /** Milliseconds between pictures above which playing goes on with fewer pixels. */
  static SLOW = 45;

  /** Name of what draws in 3-D in this browser; empty where nothing does. */
  static drawer() {
    try {
      const context = document.createElement('canvas').getContext('webgl2');
      const names = context.getExtension('WEBGL_debug_renderer_info');
      const name = context.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : context.RENDERER);
      context.getExtension('WEBGL_lose_context')?.loseContext();
      return name || 'unnamed';
    } catch {
      return '';
    }
  }

  /**
   * @param {HTMLElement} box the element that holds the canvas and the labels
   * @param {() => void} request asks for a new picture
   */
  constructor(box, request) {
    this.box = box;
    this.request = request;
    this.canvas = box.querySelector('canvas');
    this.labels = box.querySelector('.labels');
    this.drawer = Stage.drawer();
    const processor = /swiftshader|llvmpipe|software|basic render/i.test(this.drawer);
    // smooth edges take a processor four times as long; it draws without
    this.renderer = new THREE.WebGLRenderer({ canvas: this.canvas, antialias: !processor });
    this.renderer.setScissorTest(true);
    this.renderer.localClippingEnabled = true;
    this.canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    this.canvas.addEventListener('webglcontextrestored', request);
    this.views = new Views(this.canvas, request);
    this.scene = new THREE.Scene();
    this.scene.matrixWorldAutoUpdate = false;
    this.sun = new THREE.DirectionalLight(0xffffff, 2.1);
    this.fill = new THREE.DirectionalLight(0xdfe8ff, 0.7);
    const sky = new THREE.HemisphereLight(0xffffff, 0x9a8f86, 1.5);
    this.scene.add(sky, this.sun, this.sun.target, this.fill, this.fill.target);
    this.file = this.ground = null;
    this.slots = [];
    this.panels = [];
    this.layout = 'side';
    this.time = 0;
    this.width = this.height = 0;
    this.share = 1;
    this.pace = 0;
    this.theme();
    new ResizeObserver(() => this.resize()).observe(box);
  }

  /** Take the colours of the page, again when they change. */
  theme() {
    const style = getComputedStyle(this.box);
    const named = { room: '--room', face: '--face', line: '--grid', ground: '--ground' };
    this.colours = Object.fromEntries(
      Object.entries(named).map(([name, property]) => [
        name,
        new THREE.Color(style.getPropertyValue(property).trim()),
      ]),
    );
    if (this.ground) this._lay();
    this.request();
  }

  /**
   * Open the 3-D file of a take; what was open before is given back.
   *
   * @param {ArrayBuffer} buffer a GLB
   * @param {object} take its take.json
   * @param {AbortSignal} signal says when another take is opened in its place
   */
  async open(buffer, take, signal) {
    const gltf = await new THREE.GLTFLoader().parseAsync(buffer, '');
    if (signal.aborted) return;
    this.close();
    // characters in the order of take.json, then bodies by themselves
    const children = [...gltf.scene.children];
    const characters = take.characters.map((_, index) => {
      const node = children[index];
      const below = (bone) => node.getObjectByProperty('uuid', bone.uuid);
      const body = children.find((part) => part.isSkinnedMesh && below(part.skeleton.bones[0]));
      if (body) node.add(body);
      let head = null;
      node.traverse((part) => {
        if (part.isMesh && !part.isSkinnedMesh && part.morphTargetInfluences) head = part;
      });
      return { index, node, head: head?.name, face: head && new FaceShapes(head) };
    });
    const clips = new Map(gltf.animations.map((clip) => [clip.name, clip]));
    this.file = { gltf, take, characters, clips };
  }

  /** Give back all that the take holds on the graphics card. */
  close() {
    this.show([], this.layout);
    if (!this.file) return;
    this.file.gltf.scene.traverse((part) => {
      part.geometry?.dispose();
      part.skeleton?.dispose();
      for (const material of part.material ? [part.material].flat() : []) material.dispose();
    });
    this.ground?.dispose();
    this.ground = this.file = null;
    this.views.moved = false;
    this.renderer.renderLists.dispose();
  }

  /**
   * @param {string[]} keys variants that are shown
   * @param {'side' | 'over'} layout beside each other or over each other
   */
  show(keys, layout) {
    for (const slot of this.slots) slot.dispose();
    this.slots = [];
    this.layout = layout;
    if (!this.width) this.resize();
    if (this.file) {
      const looks = (order) => ({ second: order > 0, ghost: order > 0 && layout === 'over' });
      this.slots = keys.map((key, order) => new Slot(this.file, key, looks(order)));
    }
    this._arrange();
    if (this.slots.length) {
      this.scene.add(...this.slots.map((slot) => slot.group));
      this.seen = Stage._together(this.slots.map((slot) => slot.moments()));
      this.setTime(this.time);
      if (!this.ground) this._lay();
      if (!this.views.moved) this.look(this.views.mode);
    }
    this.request();
  }

  /** @param {number} seconds the moment that is shown */
  setTime(seconds) {
    this.time = seconds;
    const before = this.views.followed(this.slots);
    for (const slot of this.slots) slot.setTime(seconds);
    this.views.go(before, this.views.followed(this.slots));
    this.request();
  }

  /** @param {{kind: 'both' | 'follow' | 'eyes', actor: number}} mode where the camera is, see Views */
  look(mode) {
    const [, , width, height] = this.panels[0]?.rect ?? [0, 0, 1, 1];
    this.views.look(mode, this.slots, this.seen, width / height);
    this.request();
  }

  /** Fit the canvas to its box. */
  resize() {
    const { clientWidth, clientHeight } = this.box;
    if (!clientWidth || !clientHeight) return;
    this.width = clientWidth;
    this.height = clientHeight;
    this._sharpen(1);
    this.renderer.setSize(clientWidth, clientHeight, false);
    this._arrange();
    if (!this.views.moved && this.slots.length) this.look(this.views.mode);
    this.request();
  }

  /**
   * Keep up while playing: where pictures come too slowly they are drawn with fewer pixels, and with all of
   * them again when the take stands still.
   *
   * @param {number | null} milliseconds since the picture before; null: the take stands still
   */
  keepUp(milliseconds) {
    if (milliseconds === null) {
      this.pace = 0;
      this._sharpen(1);
      return;
    }
    this.pace = this.pace ? 0.8 * this.pace + 0.2 * milliseconds : milliseconds;
    if (this.pace > Stage.SLOW && this.share > 0.5) {
      this._sharpen(this.share - 0.25);
      this.pace = 0;
    }
  }

  /** Draw all panels. */
  render() {
    if (!this.width) return;
    this._aim([0, 0, this.width, this.height], this.colours.room);
    this.renderer.clear();
    for (const panel of this.panels) {
      const face = panel.person !== null;
      const camera = this.views.of(panel);
      for (const slot of this.slots) {
        slot.group.visible = panel.slots.includes(slot);
        for (const person of slot.people) {
          if (face) person.inFace(person === panel.person);
          else person.inRoom(this.views.seesWith(person), this.views.small(person, camera, panel));
        }
      }
      if (this.ground) this.ground.group.visible = !face;
      this._light(camera, face);
      this._aim(panel.rect, face ? this.colours.face : this.colours.room);
      this.renderer.render(this.scene, camera);
    }
  }

  /**
   * Where a joint is in the page, [x, y] in CSS pixels; null where it is behind the camera.
   *
   * @param {number} character index in take.json
   * @param {number | string} joint index, or name as take.json has it
   */
  jointOnScreen(character, joint, slotIndex = 0) {
    const slot = this.slots[slotIndex];
    const person = slot?.people.find((one) => one.index === character);
    const panel = this.panels.find((one) => one.person === null && one.slots.includes(slot));
    if (!person || !panel) return null;
    const { joints } = this.file.take.characters[character];
    const bone = person.skin.skeleton.bones[typeof joint === 'number' ? joint : joints.indexOf(joint)];
    if (!bone) return null;
    const point = new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld).project(this.views.of(panel));
    if (point.z > 1) return null;
    const [left, top, width, height] = this._inPage(panel);
    return [left + ((point.x + 1) / 2) * width, top + ((1 - point.y) / 2) * height];
  }

  /** The camera of the first body panel: what a test needs to project points itself. */
  view() {
    const panel = this.panels[0];
    if (!panel) return null; // nothing is open
    const camera = this.views.of(panel);
    return {
      view: camera.matrixWorldInverse.toArray(),
      projection: camera.projectionMatrix.toArray(),
      rect: this._inPage(panel),
    };
  }

  /** What the graphics card holds, and its name. */
  memory() {
    const { memory, programs } = this.renderer.info;
    return { ...memory, programs: programs.length, renderer: this.drawer };
  }

  _sharpen(share) {
    const ratio = share * Math.min(2, window.devicePixelRatio || 1);
    this.share = share;
    if (this.renderer.getPixelRatio() !== ratio) this.renderer.setPixelRatio(ratio);
  }

  /** Draw next into a part of the canvas, upon a colour. */
  _aim([left, top, width, height], colour) {
    this.renderer.setViewport(left, this.height - top - height, width, height);
    this.renderer.setScissor(left, this.height - top - height, width, height);
    this.renderer.setClearColor(colour);
  }

  /** A main light over the viewer's left shoulder and a weak one from the right: forms read from any side. */
  _light(camera, face) {
    this.sun.position.set(-0.75, face ? 0.9 : 1.4, 1).transformDirection(camera.matrixWorld);
    this.fill.position.set(1.2, 0.1, 0.6).transformDirection(camera.matrixWorld);
    this.sun.updateMatrixWorld();
    this.fill.updateMatrixWorld();
  }

  /** Lay the floor, again when colours change. */
  _lay() {
    this.ground?.dispose();
    this.ground = new Ground(this.seen.points, this.colours);
    this.scene.add(this.ground.group);
  }

  static _together(moments) {
    const looks = moments.reduce((sum, one) => sum.add(one.looks), new THREE.Vector3());
    return {
      points: moments.flatMap((one) => one.points),
      hips: moments.flatMap((one) => one.hips),
      looks,
    };
  }

  _inPage({ rect: [left, top, width, height] }) {
    const box = this.canvas.getBoundingClientRect();
    return [box.left + left, box.top + top, width, height];
  }

  /** Cut the canvas into panels for the slots and their faces. */
  _arrange() {
    this.panels = [];
    this.labels.replaceChildren();
    if (!this.slots.length || !this.width) return;
    const cells = this.layout === 'over' ? [this.slots] : this.slots.map((slot) => [slot]);
    const upright = this.width < 1.25 * this.height;
    const [width, height] = upright
      ? [this.width, this.height / cells.length]
      : [this.width / cells.length, this.height];
    const faces = cells.flatMap((slots, i) =>
      this._cell(slots, [upright ? 0 : i * width, upright ? i * height : 0, width, height]),
    );
    this.panels.push(...faces);
    for (const panel of this.panels) this._label(panel);
    this._placeCaptions();
  }

  /** A body panel and the face panels beside it; returns those of the faces. */
  _cell(slots, [left, top, width, height]) {
    const heads = this.file.take.actors.flatMap((_, actor) =>
      slots.map((slot) => ({ slot, person: slot.person(actor) })).filter(({ person }) => person?.face),
    );
    const columns = slots.length;
    const rows = Math.ceil(heads.length / columns);
    let body = [left, top, width, height];
    let rects = [];
    if (heads.length && width > 1.45 * height) {
      const side = Math.min(height / rows, (0.42 * width) / columns);
      body = [left, top, width - columns * side, height];
      rects = heads.map((_, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        return [left + body[2] + column * side, top + (row * height) / rows, side, height / rows];
      });
    } else if (heads.length) {
      const side = width / heads.length;
      const tall = Math.min(1.15 * side, 0.4 * height);
      body = [left, top, width, height - tall];
      rects = heads.map((_, i) => [left + i * side, top + body[3], side, tall]);
    }
    this.panels.push({ slots, person: null, rect: body });
    return heads.map(({ slot, person }, i) => ({
      slots: [slot],
      person,
      rect: rects[i],
      camera: new THREE.PerspectiveCamera(Views.FACE, 1, 0.05, 20),
    }));
  }

  /** What a panel shows, in words over it. */
  _label(panel) {
    const { actors } = this.file.take;
    const [left, top, width, height] = panel.rect.map((pixels) => `${pixels}px`);
    const variants = panel.slots.map((slot) => slot.label).join(', and over it ');
    const label = element('div', { className: 'panel' });
    Object.assign(label.style, { left, top, width, height });
    let text = variants;
    if (panel.person) {
      const { id, colour } = actors[panel.person.actor];
      label.classList.add('face');
      label.style.setProperty('--actor', colour);
      text = this.layout === 'over' && this.slots.length > 1 ? `${id}, ${variants}` : id;
    }
    label.append(element('span', { textContent: text }));
    this.labels.append(label);
  }

  /** Captions stand below the bodies, not over faces. */
  _placeCaptions() {
    const [first, second] = this.panels.filter((panel) => panel.person === null).map((panel) => panel.rect);
    const [left, top, width, height] = first;
    const joined = second?.[1] === top && second[0] === left + width;
    const place = { left, width: joined ? 2 * width : width, bottom: this.height - top - height + 10 };
    for (const [name, pixels] of Object.entries(place)) {
      this.box.style.setProperty(`--caption-${name}`, `${pixels}px`);
    }
  }
}
