'use strict';

/** One actor of a variant as it is drawn: a copy of a character of the file that shares its geometry. */
class Actor {
  /** How much of what lies behind shows through a variant that is drawn over another. */
  static THROUGH = 0.45;
  /** How light the colours of a second variant are: 0 as they are, 1 white. */
  static LIGHTER = 0.25;

  /**
   * @param {object} character of the opened file
   * @param {object} told the same of take.json: its actor and the names of its joints
   * @param {{second: boolean, ghost: boolean}} look whether it is drawn lighter, and translucent
   */
  constructor(character, told, { second, ghost }) {
    this.index = character.index;
    this.actor = told.actor;
    this.ghost = ghost;
    this.root = THREE.cloneSkinned(character.node);
    this.skin = this.head = null;
    this.root.traverse((part) => {
      if (!part.isMesh) return;
      part.frustumCulled = false;
      part.renderOrder = ghost ? 1 : 0;
      const paint = (far) =>
        Actor._paint(part.material, { shininess: part.isSkinnedMesh ? 12 : 22, second, ghost, far });
      [part.material, part.userData.far] = [paint(false), part.isSkinnedMesh ? null : paint(true)];
      if (part.isSkinnedMesh) this.skin = part;
      else if (part.name === character.head) this.head = part;
    });
    /** Shapes of the face; null where there is none. Then the two geometries that they move. */
    this.face = (this.head && character.face) ?? null;
    this.fine = this.face?.geometry() ?? null;
    this.coarse = this.face?.coarse(this.fine) ?? null;
    if (this.fine) this.head.geometry = this.fine;
    /** Of the head as it is, and where it is small. */
    this.paints = this.head ? [this.head.material, this.head.userData.far] : [];
    this.weights = this.head?.morphTargetInfluences.slice() ?? [];
    this.veils = ghost ? [this.skin, this.head].filter(Boolean).map(Actor._veil) : [];
    const { bones } = this.skin.skeleton;
    const named = (pattern) => bones[told.joints.findIndex((name) => pattern.test(name))];
    this.hips = bones[0];
    this.neck = this.head?.parent ?? named(/head$/i) ?? bones[bones.length - 1];
    this.feet = [named(/left.?(toe|foot)/i), named(/right.?(toe|foot)/i)].filter(Boolean);
    /** Above it no body is drawn in the picture of the face. */
    this.chin = new THREE.Plane();
    this.shadows = new THREE.Group();
    if (!ghost) for (let i = 0; i <= this.feet.length; i++) this.shadows.add(Actor._spot());
  }

  /** Follow the joints, which have just moved: shadows and the shape of the face. */
  moved() {
    this._cast();
    if (!this.face) return;
    const weights = this.head.morphTargetInfluences;
    if (this.weights.every((weight, k) => weight === weights[k])) return;
    this.face.apply(this.fine, weights);
    this.weights = weights.slice();
  }

  /** Get ready for a picture of the room: who sees has no head there, and a small one has few triangles. */
  inRoom(sees, small) {
    this.root.visible = true;
    this.shadows.visible = true;
    this._through(this.ghost ? 1 - Actor.THROUGH : 1);
    this.skin.material.clippingPlanes = null;
    if (!this.head) return;
    this.head.visible = !sees;
    if (this.coarse) this.head.geometry = small ? this.coarse : this.fine;
    this.head.material = small ? this.paints[1] : this.paints[0];
    for (const veil of this.veils) veil.visible = true;
    if (this.veils.length > 1)
      Object.assign(this.veils[1], { visible: !sees, geometry: this.head.geometry });
  }

  /** Get ready for a picture of a face, its own or another's. */
  inFace(own) {
    this.root.visible = own;
    this.shadows.visible = false;
    if (!own) return;
    this._through(1);
    this.skin.material.clippingPlanes = [this.chin];
    this.head.visible = true;
    this.head.geometry = this.fine;
    this.head.material = this.paints[0];
    for (const veil of this.veils) veil.visible = false;
  }

  dispose() {
    this.skin.skeleton.dispose();
    this.root.traverse((part) => part.material?.dispose());
    for (const paint of this.paints) paint.dispose();
    this.fine?.dispose();
    this.coarse?.dispose();
  }

  _through(opacity) {
    this.skin.material.opacity = opacity;
    for (const paint of this.paints) paint.opacity = opacity;
  }

  /** Soft spots below hips and feet; they shrink as a foot rises. */
  _cast() {
    const place = new THREE.Vector3();
    [this.hips, ...this.feet].forEach((joint, i) => {
      const spot = this.shadows.children[i];
      if (!spot) return;
      place.setFromMatrixPosition(joint.matrixWorld);
      const rise = i ? Math.max(0, 1 - 3 * Math.max(0, place.y - 0.06)) : 0.75;
      spot.position.set(place.x, 0.004 + 0.001 * i, place.z);
      spot.scale.setScalar((i ? 0.34 : 0.85) * (0.4 + 0.6 * rise));
      spot.updateMatrixWorld(true);
    });
  }

  /** The material of the file as the viewer draws it; `far`: of a head that has few triangles. */
  static _paint({ color, side }, { shininess, second, ghost, far }) {
    const made = new THREE.MeshPhongMaterial({ color: color.clone(), side, shininess, specular: 0x1c1c1c });
    // the inside of a head, seen through its mouth, is dark; but where triangles are few, some turn over
    const [after, adds] = far
      ? ['#include <normal_fragment_begin>', 'normal = normalize(vNormal);']
      : ['#include <envmap_fragment>', 'if (!gl_FrontFacing) outgoingLight *= 0.12;'];
    made.onBeforeCompile = (shader) => {
      shader.fragmentShader = shader.fragmentShader.replace(after, `${after}\n${adds}`);
    };
    made.customProgramCacheKey = () => adds;
    if (second) made.color.lerp(new THREE.Color(0xffffff), Actor.LIGHTER);
    made.transparent = ghost;
    return made;
  }

  /** What hides the inside of a translucent mesh: the mesh again, drawn before it into depth alone. */
  static _veil(part) {
    const veil = part.clone(false);
    veil.name = ''; // or an animation would move it in place of the mesh
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

  static _spot() {
    const spot = new THREE.Mesh(Actor._disc(), Actor._shade());
    spot.frustumCulled = false;
    spot.renderOrder = -1;
    return spot;
  }

  /** What all shadows share, as long as the page is open: a square, and a dark that fades to its rim. */
  static _disc() {
    Actor._square ??= new THREE.PlaneGeometry(1, 1).rotateX(-Math.PI / 2);
    return Actor._square;
  }

  static _shade() {
    if (Actor._dark) return Actor._dark;
    const size = 64;
    const pixels = new Uint8Array(4 * size * size);
    for (let i = 0; i < size * size; i++) {
      const [x, y] = [(i % size) + 0.5, Math.floor(i / size) + 0.5];
      const far = Math.hypot(x - size / 2, y - size / 2) / (size / 2);
      pixels[4 * i + 3] = 110 * Math.max(0, 1 - far) ** 1.5;
    }
    const map = new THREE.DataTexture(pixels, size, size);
    map.magFilter = map.minFilter = THREE.LinearFilter;
    map.needsUpdate = true;
    Actor._dark = new THREE.MeshBasicMaterial({ map, transparent: true, depthWrite: false, color: 0 });
    return Actor._dark;
  }
}

/** A variant that is shown: its actors, and an animation of their own that moves them. */
class Slot {
  /** How many moments of a take say how far its actors go. */
  static MOMENTS = 48;

  /**
   * @param {object} file as Stage opened it
   * @param {string} key the variant's
   * @param {{second: boolean, ghost: boolean}} look
   */
  constructor({ take, clips, characters }, key, look) {
    const variant = take.variants.find((one) => one.key === key);
    this.key = key;
    this.label = variant.label;
    this.group = new THREE.Group();
    this.people = variant.characters.map((i) => new Actor(characters[i], take.characters[i], look));
    for (const person of this.people) this.group.add(person.root, person.shadows);
    this.mixer = new THREE.AnimationMixer(this.group);
    this.action = this.mixer.clipAction(clips.get(key)).setLoop(THREE.LoopOnce).play();
  }

  /** Whom it has of an actor of take.json, by number. */
  person(actor) {
    return this.people.find((one) => one.actor === actor) ?? null;
  }

  /** @param {number} seconds the moment that is shown */
  setTime(seconds) {
    this._pose(seconds);
    for (const person of this.people) person.moved();
  }

  /** Where joints are at moments over the whole take, hips for themselves, and which way faces look. */
  moments() {
    const seen = { points: [], hips: [], looks: new THREE.Vector3() };
    const now = this.action.time;
    for (let i = 0; i < Slot.MOMENTS; i++) {
      this._pose((i / (Slot.MOMENTS - 1)) * this.action.getClip().duration);
      for (const { skin, neck, hips } of this.people) {
        const places = skin.skeleton.bones.map((bone) =>
          new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld),
        );
        const crown = neck.localToWorld(new THREE.Vector3(0, 0.24, 0));
        seen.points.push(...places, crown);
        seen.hips.push(new THREE.Vector3().setFromMatrixPosition(hips.matrixWorld));
        seen.looks.add(new THREE.Vector3(0, 0, 1).transformDirection(neck.matrixWorld));
      }
    }
    this._pose(now);
    return seen;
  }

  dispose() {
    this.mixer.stopAllAction();
    this.mixer.uncacheRoot(this.group);
    this.group.removeFromParent();
    for (const person of this.people) person.dispose();
  }

  _pose(seconds) {
    this.action.time = seconds;
    this.mixer.update(0);
    this.group.updateMatrixWorld(true);
  }
}
