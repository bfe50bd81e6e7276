'use strict';

/**
 * The pictures of a take: bodies, and faces beside them, drawn by three.js into one canvas.
 *
 * The canvas is cut into *panels*. A body panel shows one variant of the take, or several over each other; all
 * body panels have one camera. A face panel shows one head from the front, by a camera that the head carries.
 * A *slot* is one variant that is shown: copies of the file's characters that share its geometry.
 */
class Stage {
  /** Height of an angle of view in degrees: of the room, of a face, through an actor's eyes. */
  static ROOM = 35;
  static FACE = 20;
  static EYES = 80;
  /** How many moments of a take say how far the first view must reach. */
  static MOMENTS = 48;
  /** How much of what lies behind shows through a variant that is drawn over another. */
  static OVERLAID = 0.45;

  /** Milliseconds between pictures above which playing goes on with fewer pixels. */
  static SLOW = 45;
  /** A head lower than this many pixels is drawn with few triangles. */
  static SMALL = 110;

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
    const processor = /swiftshader|llvmpipe|software|basic render/i.test(Stage.drawer());
    // smooth edges take a processor four times as long; it draws without
    this.renderer = new THREE.WebGLRenderer({ canvas: this.canvas, antialias: !processor });
    this.renderer.setScissorTest(true);
    this.renderer.localClippingEnabled = true;
    this.canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    this.canvas.addEventListener('webglcontextrestored', request);
    this.camera = new THREE.PerspectiveCamera(Stage.ROOM, 1, 0.05, 200);
    this.eye = new THREE.PerspectiveCamera(Stage.EYES, 1, 0.06, 200);
    this.controls = new THREE.OrbitControls(this.camera, this.canvas);
    this.controls.zoomToCursor = true;
    this.controls.maxDistance = 60;
    this.controls.minDistance = 0.2;
    this.controls.addEventListener('start', () => (this.moved = true));
    this.controls.addEventListener('change', request);
    this.scene = new THREE.Scene();
    this.scene.matrixWorldAutoUpdate = false;
    this.sky = new THREE.HemisphereLight(0xffffff, 0x9a8f86, 1.5);
    this.sun = new THREE.DirectionalLight(0xffffff, 2.1);
    this.fill = new THREE.DirectionalLight(0xdfe8ff, 0.7);
    this.scene.add(this.sky, this.sun, this.sun.target, this.fill, this.fill.target);
    this.file = null;
    this.slots = [];
    this.panels = [];
    this.layout = 'side';
    this.mode = { kind: 'both', actor: 0 };
    /** Whether the user has turned the camera, which is then left as it is. */
    this.moved = false;
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
    const colour = (name) => new THREE.Color(style.getPropertyValue(name).trim());
    this.colours = { room: colour('--room'), face: colour('--face'), line: colour('--grid'), ground: colour('--ground') };
    if (this.ground) {
      this._dropGround();
      this._makeGround();
    }
    this.request();
  }

  /**
   * Open the 3-D file of a take; what was open before is given back.
   *
   * @param {ArrayBuffer} buffer a GLB
   * @param {object} take its take.json
   */
  async open(buffer, take) {
    const loader = new THREE.GLTFLoader();
    const gltf = await loader.parseAsync(buffer, '');
    this.close();
    const children = [...gltf.scene.children]; // characters in the order of take.json, then bodies by themselves
    const characters = take.characters.map((_, index) => {
      const node = children[index];
      const body = children.find((part) => part.isSkinnedMesh && node.getObjectByProperty('uuid', part.skeleton.bones[0].uuid));
      if (body) node.add(body);
      let head = null;
      node.traverse((part) => {
        if (part.isMesh && !part.isSkinnedMesh && part.morphTargetInfluences) head = part;
      });
      return { index, node, head: head?.name, face: head && new FaceShapes(head) };
    });
    this.file = { gltf, take, characters, clips: new Map(gltf.animations.map((clip) => [clip.name, clip])) };
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
    this._dropGround();
    this.area = null;
    this.file = null;
    this.moved = false;
    this.renderer.setRenderTarget(null);
    this.renderer.renderLists.dispose();
  }

  /**
   * @param {string[]} keys variants that are shown
   * @param {'side' | 'over'} layout beside each other or over each other
   */
  show(keys, layout) {
    for (const slot of this.slots) this._drop(slot);
    this.slots = [];
    this.layout = layout;
    if (!this.width) this.resize();
    this.slots = this.file ? keys.map((key, order) => this._slot(key, order)) : [];
    this._arrange();
    if (this.slots.length) {
      this.setTime(this.time);
      if (!this.ground) this._makeGround();
      if (!this.moved) this.look(this.mode);
    }
    this.request();
  }

  /** @param {number} seconds the moment that is shown */
  setTime(seconds) {
    this.time = seconds;
    const before = this._followed();
    for (const slot of this.slots) {
      slot.action.time = seconds;
      slot.mixer.update(0);
      slot.group.updateMatrixWorld(true);
      for (const person of slot.people) {
        this._shadows(person);
        if (!person.face) continue;
        const weights = person.head.morphTargetInfluences;
        if (person.weights.every((weight, k) => weight === weights[k])) continue;
        person.face.apply(person.fine, weights);
        person.weights = weights.slice();
      }
    }
    const after = this._followed();
    if (before && after) {
      const step = after.sub(before);
      this.camera.position.add(step);
      this.controls.target.add(step);
      this.controls.update();
    }
    this.request();
  }

  /**
   * Put the camera: `both` shows where both actors are over the whole take, `follow` goes with one, `eyes` is
   * what one sees.
   *
   * @param {{kind: 'both' | 'follow' | 'eyes', actor: number}} mode
   */
  look(mode) {
    this.mode = mode;
    this.moved = false;
    this.controls.enabled = mode.kind !== 'eyes';
    if (!this.slots.length) return;
    if (mode.kind === 'follow') this._lookAtOne();
    else if (mode.kind === 'both') this._lookAtAll();
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
    if (!this.moved && this.slots.length) this.look(this.mode);
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

  _sharpen(share) {
    const ratio = share * Math.min(2, window.devicePixelRatio || 1);
    this.share = share;
    if (this.renderer.getPixelRatio() !== ratio) this.renderer.setPixelRatio(ratio);
  }

  /** Draw all panels. */
  render() {
    if (!this.width) return;
    this.renderer.setScissor(0, 0, this.width, this.height);
    this.renderer.setViewport(0, 0, this.width, this.height);
    this.renderer.setClearColor(this.colours.room);
    this.renderer.clear();
    for (const panel of this.panels) {
      const camera = this._cameraOf(panel);
      const face = panel.person !== null;
      for (const slot of this.slots) {
        slot.group.visible = panel.slots.includes(slot);
        for (const person of slot.people) {
          person.root.visible = !face || person === panel.person;
          person.shadows.visible = !face;
          for (const part of [person.skin, person.head]) {
            if (part) part.material.opacity = slot.ghost && !face ? 1 - Stage.OVERLAID : 1;
          }
          person.skin.material.clippingPlanes = face ? [person.chin] : null;
          if (person.veils.length) person.veils[0].visible = !face;
          const seeing = this.mode.kind === 'eyes' && !face && person.actor === this.mode.actor;
          if (!person.head) continue;
          person.head.visible = !seeing;
          if (person.coarse) person.head.geometry = !face && this._small(person, camera, panel) ? person.coarse : person.fine;
          if (person.veils.length > 1) Object.assign(person.veils[1], { geometry: person.head.geometry, visible: !seeing });
        }
      }
      if (this.ground) this.ground.visible = !face;
      this._light(camera, face);
      const [left, top, width, height] = panel.rect;
      this.renderer.setViewport(left, this.height - top - height, width, height);
      this.renderer.setScissor(left, this.height - top - height, width, height);
      this.renderer.setClearColor(face ? this.colours.face : this.colours.room);
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
    const index = typeof joint === 'number' ? joint : this.file.take.characters[character].joints.indexOf(joint);
    const bone = person?.skin.skeleton.bones[index];
    if (!bone || !panel) return null;
    const camera = this._cameraOf(panel);
    camera.updateMatrixWorld();
    const point = bone.getWorldPosition(new THREE.Vector3()).project(camera);
    if (point.z > 1) return null;
    const [left, top, width, height] = panel.rect;
    const box = this.canvas.getBoundingClientRect();
    return [box.left + left + ((point.x + 1) / 2) * width, box.top + top + ((1 - point.y) / 2) * height];
  }

  /** The camera of the first body panel: what a test needs to project points itself. */
  view() {
    const panel = this.panels[0];
    if (!panel) return null; // nothing is open
    const camera = this._cameraOf(panel);
    camera.updateMatrixWorld();
    const box = this.canvas.getBoundingClientRect();
    const [left, top, width, height] = panel.rect;
    return {
      view: camera.matrixWorldInverse.toArray(),
      projection: camera.projectionMatrix.toArray(),
      rect: [box.left + left, box.top + top, width, height],
    };
  }

  /** What the graphics card holds, and its name. */
  memory() {
    const gl = this.renderer.getContext();
    const names = gl.getExtension('WEBGL_debug_renderer_info');
    return {
      ...this.renderer.info.memory,
      programs: this.renderer.info.programs.length,
      renderer: gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER),
    };
  }

  /** A variant as it is shown: copies of its characters and an animation of its own. */
  _slot(key, order) {
    const { take, clips, characters } = this.file;
    const variant = take.variants.find((one) => one.key === key);
    const group = new THREE.Group();
    const ghost = order > 0 && this.layout === 'over';
    const people = variant.characters.map((index) => this._person(characters[index], ghost, order));
    for (const person of people) group.add(person.root, person.shadows);
    this.scene.add(group);
    const mixer = new THREE.AnimationMixer(group);
    const action = mixer.clipAction(clips.get(key));
    action.setLoop(THREE.LoopOnce).play();
    return { key, label: variant.label, ghost, group, mixer, action, people };
  }

  _person(character, ghost, order) {
    const actor = this.file.take.characters[character.index].actor;
    const root = THREE.cloneSkinned(character.node);
    const paint = (material, shininess) => {
      const { color, side } = material;
      const made = new THREE.MeshPhongMaterial({ color: color.clone(), side, shininess, specular: 0x1c1c1c });
      // through an open mouth one sees the dark inside of a head
      made.onBeforeCompile = (shader) => {
        const last = '#include <opaque_fragment>';
        shader.fragmentShader = shader.fragmentShader.replace(last, `if (!gl_FrontFacing) outgoingLight *= 0.12;\n${last}`);
      };
      if (order) made.color.lerp(new THREE.Color(0xffffff), 0.25);
      if (ghost) Object.assign(made, { transparent: true, opacity: 1 - Stage.OVERLAID });
      return made;
    };
    let skin = null;
    let head = null;
    root.traverse((part) => {
      if (!part.isMesh) return;
      part.frustumCulled = false;
      part.renderOrder = ghost ? 1 : 0;
      part.material = paint(part.material, part.isSkinnedMesh ? 12 : 22);
      if (part.isSkinnedMesh) skin = part;
      else if (part.name === character.head) head = part;
    });
    const fine = head && character.face ? character.face.geometry() : null;
    if (fine) head.geometry = fine;
    const veils = ghost ? [skin, head].filter(Boolean).map((part) => Stage._veil(part)) : [];
    const bones = skin.skeleton.bones;
    const { joints } = this.file.take.characters[character.index];
    const named = (pattern) => bones[joints.findIndex((name) => pattern.test(name))];
    const person = {
      index: character.index,
      actor,
      root,
      skin,
      head,
      face: fine && character.face,
      fine,
      coarse: fine && character.face.coarse(fine),
      weights: head ? head.morphTargetInfluences.slice() : [],
      neck: head?.parent ?? named(/head$/i) ?? bones[bones.length - 1],
      hips: bones[0],
      feet: [named(/left.?(toe|foot)/i), named(/right.?(toe|foot)/i)].filter(Boolean),
      veils,
      chin: new THREE.Plane(),
      shadows: new THREE.Group(),
    };
    for (const size of [0.85, ...person.feet.map(() => 0.34)]) {
      const spot = new THREE.Mesh(Stage._disc(), Stage._shade());
      spot.scale.setScalar(size);
      spot.frustumCulled = false;
      spot.renderOrder = -1;
      person.shadows.add(spot);
    }
    if (ghost) person.shadows.scale.setScalar(0);
    return person;
  }

  /** What hides the inside of a translucent mesh: the mesh again, drawn before it into depth alone. */
  static _veil(part) {
    const veil = part.clone(false);
    veil.name = '';
    veil.renderOrder = 0.5;
    veil.material = new THREE.MeshBasicMaterial({
      colorWrite: false,
      side: part.material.side,
      polygonOffset: true,
      polygonOffsetFactor: 1,
      polygonOffsetUnits: 1,
    });
    part.parent.add(veil);
    return veil;
  }

  _drop(slot) {
    slot.mixer.stopAllAction();
    slot.mixer.uncacheRoot(slot.group);
    this.scene.remove(slot.group);
    for (const person of slot.people) {
      person.skin.skeleton.dispose();
      person.root.traverse((part) => part.material?.dispose());
      person.fine?.dispose();
      person.coarse?.dispose();
    }
  }

  /** Cut the canvas into panels for the slots and their faces. */
  _arrange() {
    this.panels = [];
    this.labels.replaceChildren();
    if (!this.slots.length || !this.width) return;
    const cells = this.layout === 'over' ? [this.slots] : this.slots.map((slot) => [slot]);
    const upright = this.width < 1.25 * this.height;
    const faces = [];
    cells.forEach((slots, i) => {
      const n = cells.length;
      const cell = upright
        ? [0, (i * this.height) / n, this.width, this.height / n]
        : [(i * this.width) / n, 0, this.width / n, this.height];
      faces.push(...this._cell(slots, cell));
    });
    this.panels.push(...faces);
    for (const panel of this.panels) this._label(panel);
    const bodies = this.panels.filter((panel) => panel.person === null).map((panel) => panel.rect);
    const [left, top, width, height] = bodies[0];
    const beside = bodies[1]?.[1] === top && bodies[1][0] === left + width;
    // where captions fit: below the bodies, not over faces
    const place = { left, width: beside ? 2 * width : width, bottom: this.height - top - height + 10 };
    for (const [name, pixels] of Object.entries(place)) this.box.style.setProperty(`--caption-${name}`, `${pixels}px`);
  }

  /** A body panel and the face panels beside it; returns those of the faces. */
  _cell(slots, [left, top, width, height]) {
    const heads = [];
    for (const actor of this.file.take.actors.keys()) {
      for (const slot of slots) {
        const person = slot.people.find((one) => one.actor === actor);
        if (person?.face) heads.push({ slot, person });
      }
    }
    const columns = slots.length;
    const rows = Math.ceil(heads.length / columns);
    let body = [left, top, width, height];
    const rects = [];
    if (heads.length && width > 1.45 * height) {
      const side = Math.min(height / rows, (0.42 * width) / columns);
      body = [left, top, width - columns * side, height];
      heads.forEach((_, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        rects.push([left + body[2] + column * side, top + (row * height) / rows, side, height / rows]);
      });
    } else if (heads.length) {
      const side = width / heads.length;
      const tall = Math.min(1.15 * side, 0.4 * height);
      body = [left, top, width, height - tall];
      heads.forEach((_, i) => rects.push([left + i * side, top + body[3], side, tall]));
    }
    this.panels.push({ slots, person: null, rect: body });
    return heads.map(({ slot, person }, i) => ({
      slots: [slot],
      person,
      rect: rects[i],
      camera: new THREE.PerspectiveCamera(Stage.FACE, 1, 0.05, 20),
    }));
  }

  /** What a panel shows, in words over it. */
  _label(panel) {
    const { take } = this.file;
    const label = document.createElement('div');
    const [left, top, width, height] = panel.rect;
    label.className = panel.person ? 'panel face' : 'panel';
    Object.assign(label.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    const text = document.createElement('span');
    const names = panel.slots.map((slot) => slot.label).join(', and over it ');
    text.textContent = panel.person ? take.actors[panel.person.actor].id : names;
    label.append(text);
    if (panel.person) {
      label.style.setProperty('--actor', take.actors[panel.person.actor].colour);
      if (this.layout === 'over' && this.slots.length > 1) text.textContent += `, ${names}`;
    }
    this.labels.append(label);
  }

  _cameraOf(panel) {
    const [, , width, height] = panel.rect;
    let camera = panel.camera ?? this.camera;
    if (panel.person) this._beforeFace(camera, panel.person, width / height);
    else if (this.mode.kind === 'eyes') {
      camera = this.eye;
      this._behindEyes(camera, panel.slots[0].people.find((one) => one.actor === this.mode.actor));
    }
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    return camera;
  }

  /** Put a camera before a face: it sees what the shapes move, with a margin, and no body above the chin. */
  _beforeFace(camera, person, aspect) {
    const { face, head } = person;
    const half = 0.5 * Math.max(1.4 * face.size.y, (1.3 * face.size.x) / aspect);
    const distance = half / Math.tan(THREE.MathUtils.degToRad(Stage.FACE / 2)) + 0.5 * face.size.z;
    const place = face.centre.clone();
    camera.up.set(0, 1, 0).transformDirection(head.matrixWorld);
    place.z += distance;
    camera.position.copy(head.localToWorld(place));
    camera.lookAt(head.localToWorld(face.centre.clone()));
    camera.near = 0.5 * distance;
    const chin = head.localToWorld(face.centre.clone().setY(face.centre.y - 0.4 * face.size.y));
    person.chin.setFromNormalAndCoplanarPoint(camera.up.clone().negate(), chin);
  }

  /** Whether a head is so small in a panel that few triangles are enough. */
  _small({ head, face }, camera, panel) {
    const place = new THREE.Vector3().setFromMatrixPosition(head.matrixWorld);
    const seen = 2 * place.distanceTo(camera.position) * Math.tan(THREE.MathUtils.degToRad(camera.fov / 2));
    return (face.size.y / seen) * panel.rect[3] < Stage.SMALL;
  }

  /** Put a camera where a person's eyes are. */
  _behindEyes(camera, person) {
    if (!person) return;
    const { head, face, neck } = person;
    const carrier = head ?? neck;
    const eyes = face ? face.eyes.clone() : new THREE.Vector3(0, 0.08, 0.1);
    const forward = new THREE.Vector3(0, 0, 1).transformDirection(carrier.matrixWorld);
    camera.up.set(0, 1, 0).transformDirection(carrier.matrixWorld);
    camera.position.copy(carrier.localToWorld(eyes));
    camera.lookAt(camera.position.clone().add(forward));
  }

  /** A main light over the viewer's left shoulder and a weak one from the right: forms read from any side. */
  _light(camera, face) {
    camera.updateMatrixWorld();
    this.sun.position.set(face ? -0.7 : -0.8, face ? 0.9 : 1.4, 1).transformDirection(camera.matrixWorld);
    this.fill.position.set(1.2, 0.1, 0.6).transformDirection(camera.matrixWorld);
    this.sun.updateMatrixWorld();
    this.fill.updateMatrixWorld();
  }

  _person0(actor) {
    return this.slots[0]?.people.find((one) => one.actor === actor) ?? this.slots[0]?.people[0];
  }

  /** Where the followed actor is, null where none is followed. */
  _followed() {
    if (this.mode.kind !== 'follow' || !this.slots.length) return null;
    return this._person0(this.mode.actor).hips.getWorldPosition(new THREE.Vector3());
  }

  _lookAtOne() {
    const person = this._person0(this.mode.actor);
    const place = person.hips.getWorldPosition(new THREE.Vector3());
    const away = this.camera.position.clone().sub(this.controls.target).setY(0);
    if (away.lengthSq() < 1e-6) away.set(0, 0, 1);
    place.y += 0.1;
    this.controls.target.copy(place);
    this.camera.position.copy(place).addScaledVector(away.normalize(), 3.4 * Math.max(1, 0.8 / this._aspect()));
    this.camera.position.y += 0.5;
    this.controls.update();
  }

  _aspect() {
    const [, , width, height] = this.panels[0].rect;
    return width / height;
  }

  /** Joints of all that is shown at moments over the whole take, and which way faces look. */
  _moments() {
    const points = [];
    const hips = [];
    const looks = new THREE.Vector3();
    const now = this.time;
    for (const slot of this.slots) {
      for (let i = 0; i < Stage.MOMENTS; i++) {
        slot.action.time = (i / (Stage.MOMENTS - 1)) * slot.action.getClip().duration;
        slot.mixer.update(0);
        slot.group.updateMatrixWorld(true);
        for (const { skin, neck, hips: hip } of slot.people) {
          for (const bone of skin.skeleton.bones) points.push(new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld));
          points.push(neck.localToWorld(new THREE.Vector3(0, 0.24, 0)));
          hips.push(new THREE.Vector3().setFromMatrixPosition(hip.matrixWorld));
          looks.add(new THREE.Vector3(0, 0, 1).transformDirection(neck.matrixWorld));
        }
      }
      slot.action.time = now;
      slot.mixer.update(0);
      slot.group.updateMatrixWorld(true);
    }
    return { points, hips, looks };
  }

  /** See all that moves, from the side that spreads the actors most and shows more of their faces. */
  _lookAtAll() {
    const { points, hips, looks } = this._moments();
    const mean = hips.reduce((sum, hip) => sum.add(hip), new THREE.Vector3()).divideScalar(hips.length);
    let [xx, xz, zz] = [1e-9, 0, 0];
    for (const hip of hips) {
      xx += (hip.x - mean.x) ** 2;
      xz += (hip.x - mean.x) * (hip.z - mean.z);
      zz += (hip.z - mean.z) ** 2;
    }
    const angle = 0.5 * Math.atan2(2 * xz, xx - zz); // of the direction in which hips spread most
    const back = new THREE.Vector3(-Math.sin(angle), 0, Math.cos(angle)); // from the middle to the camera
    if (looks.dot(back) < 0) back.negate();
    back.y = 0.16;
    back.normalize();
    const right = new THREE.Vector3(0, 1, 0).cross(back).normalize();
    const up = back.clone().cross(right);
    const slope = 0.92 * Math.tan(THREE.MathUtils.degToRad(Stage.ROOM / 2)); // leaves a margin
    const reach = (axis, tangent, place, distance) => {
      // how far a point lies beyond the edge of the picture, the most to either side
      let [low, high] = [Infinity, -Infinity];
      for (const point of points) {
        const offset = point.clone().sub(place);
        const depth = distance - offset.dot(back);
        const side = offset.dot(axis) / Math.max(depth, 1e-3) / tangent;
        low = Math.min(low, side);
        high = Math.max(high, side);
      }
      return [low, high];
    };
    const place = mean.clone();
    let distance = 5;
    for (let i = 0; i < 12; i++) {
      const [left, rightmost] = reach(right, slope * this._aspect(), place, distance);
      const [bottom, top] = reach(up, slope, place, distance);
      place.addScaledVector(right, 0.5 * (left + rightmost) * slope * this._aspect() * distance);
      place.addScaledVector(up, 0.5 * (bottom + top) * slope * distance);
      distance *= Math.max(0.5 * (rightmost - left), 0.5 * (top - bottom));
      distance = Math.min(50, Math.max(1.2, distance));
    }
    this.controls.target.copy(place);
    this.camera.position.copy(place).addScaledVector(back, distance);
    this.controls.update();
  }

  /** Soft spots below hips and feet; they fade as a foot rises. */
  _shadows({ shadows, hips, feet }) {
    const place = new THREE.Vector3();
    [hips, ...feet].forEach((joint, i) => {
      const spot = shadows.children[i];
      place.setFromMatrixPosition(joint.matrixWorld);
      spot.position.set(place.x, 0.004 + 0.001 * i, place.z);
      const rise = i ? Math.max(0, 1 - 3 * Math.max(0, place.y - 0.06)) : 0.75;
      spot.scale.setScalar((i ? 0.34 : 0.85) * (0.4 + 0.6 * rise));
      spot.updateMatrixWorld(true);
    });
  }

  /** A floor with a line each metre, about where the actors go; it fades into the room. */
  _makeGround() {
    const { room, ground, line } = this.colours;
    this.area ??= new THREE.Box3().setFromPoints(this._moments().points);
    const middle = this.area.getCenter(new THREE.Vector3()).setY(0);
    const inner = 0.5 * this.area.getSize(new THREE.Vector3()).setY(0).length() + 1;
    const outer = 2 * inner + 2;
    const far = (x, z) => Math.min(1, Math.max(0, (Math.hypot(x - middle.x, z - middle.z) - inner) / (outer - inner)));
    const coloured = (geometry, colour) => {
      const { position } = geometry.attributes;
      const colours = new Float32Array(3 * position.count);
      for (let i = 0; i < position.count; i++) {
        colour.clone().lerp(room, far(position.getX(i), position.getZ(i))).toArray(colours, 3 * i);
      }
      return geometry.setAttribute('color', new THREE.BufferAttribute(colours, 3));
    };
    const disc = new THREE.RingGeometry(0.001, outer, 64, 24).rotateX(-Math.PI / 2).translate(middle.x, -0.006, middle.z);
    const floor = new THREE.Mesh(coloured(disc, ground), new THREE.MeshBasicMaterial({ vertexColors: true }));
    floor.renderOrder = -3;
    const ends = [];
    const reach = Math.ceil(outer);
    const [x0, z0] = [Math.round(middle.x) - reach, Math.round(middle.z) - reach];
    for (let i = 0; i <= 2 * reach; i++) {
      for (let j = 0; j < 2 * reach; j++) {
        if (far(x0 + i, z0 + j) < 1) ends.push(x0 + i, 0, z0 + j, x0 + i, 0, z0 + j + 1);
        if (far(x0 + j, z0 + i) < 1) ends.push(x0 + j, 0, z0 + i, x0 + j + 1, 0, z0 + i);
      }
    }
    const lines = new THREE.BufferGeometry();
    lines.setAttribute('position', new THREE.BufferAttribute(new Float32Array(ends), 3));
    const grid = new THREE.LineSegments(coloured(lines, line), new THREE.LineBasicMaterial({ vertexColors: true }));
    grid.renderOrder = -2;
    this.ground = new THREE.Group();
    this.ground.add(floor, grid);
    this.ground.updateMatrixWorld(true);
    this.scene.add(this.ground);
  }

  _dropGround() {
    if (!this.ground) return;
    this.scene.remove(this.ground);
    for (const part of this.ground.children) {
      part.geometry.dispose();
      part.material.dispose();
    }
    this.ground = null;
  }

  /** What all shadows share: a disc, and a dark that fades to its rim. */
  static _disc() {
    Stage._discGeometry ??= new THREE.PlaneGeometry(1, 1).rotateX(-Math.PI / 2);
    return Stage._discGeometry;
  }

  static _shade() {
    if (!Stage._shadeMaterial) {
      const size = 64;
      const pixels = new Uint8Array(4 * size * size);
      for (let i = 0; i < size * size; i++) {
        const far = Math.hypot((i % size) + 0.5 - size / 2, Math.floor(i / size) + 0.5 - size / 2) / (size / 2);
        pixels[4 * i + 3] = 110 * Math.max(0, 1 - far) ** 1.5;
      }
      const map = new THREE.DataTexture(pixels, size, size);
      map.magFilter = map.minFilter = THREE.LinearFilter;
      map.needsUpdate = true;
      Stage._shadeMaterial = new THREE.MeshBasicMaterial({ map, transparent: true, depthWrite: false, color: 0 });
    }
    return Stage._shadeMaterial;
  }
}
