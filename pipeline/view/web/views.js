'use strict';

/**
 * Where cameras are: `both` shows where all actors are over the whole take, `follow` goes with one, `eyes` is
 * what one sees; and a camera before each face.
 */
class Views {
  /** Height of an angle of view in degrees: of the room, of a face, through an actor's eyes. */
  static ROOM = 35;
  static FACE = 20;
  static EYES = 80;
  /** A head lower than this many pixels is drawn with few triangles. */
  static SMALL = 110;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} request asks for a new picture
   */
  constructor(canvas, request) {
    this.camera = new THREE.PerspectiveCamera(Views.ROOM, 1, 0.05, 200);
    this.eye = new THREE.PerspectiveCamera(Views.EYES, 1, 0.06, 200);
    this.controls = new THREE.OrbitControls(this.camera, canvas);
    this.controls.zoomToCursor = true;
    this.controls.maxDistance = 60;
    this.controls.minDistance = 0.2;
    this.controls.addEventListener('start', () => (this.moved = true));
    this.controls.addEventListener('change', request);
    this.mode = { kind: 'both', actor: 0 };
    /** Whether the user has turned the camera, which is then left as it is. */
    this.moved = false;
  }

  /**
   * Put the camera of the room.
   *
   * @param {{kind: 'both' | 'follow' | 'eyes', actor: number}} mode
   * @param {Slot[]} slots what is shown
   * @param {object} seen their moments
   * @param {number} aspect width over height of the panel
   */
  look(mode, slots, seen, aspect) {
    this.mode = mode;
    this.moved = false;
    this.controls.enabled = mode.kind !== 'eyes';
    if (!slots.length) return;
    if (mode.kind === 'follow') this._lookAtOne(this.followed(slots), aspect);
    else if (mode.kind === 'both') this._lookAtAll(seen, aspect);
  }

  /** Where the followed actor is, null where none is followed. */
  followed(slots) {
    if (this.mode.kind !== 'follow' || !slots.length) return null;
    const person = slots[0].person(this.mode.actor) ?? slots[0].people[0];
    return new THREE.Vector3().setFromMatrixPosition(person.hips.matrixWorld);
  }

  /** Go as far as who is followed went. */
  go(before, after) {
    if (!before || !after) return;
    const step = after.clone().sub(before);
    this.camera.position.add(step);
    this.controls.target.add(step);
    this.controls.update();
  }

  /** The camera of a panel, put where it belongs. */
  of(panel) {
    const [, , width, height] = panel.rect;
    let camera = panel.camera ?? this.camera;
    if (panel.person) this._beforeFace(camera, panel.person, width / height);
    else if (this.mode.kind === 'eyes') {
      camera = this.eye;
      this._behindEyes(panel.slots[0].person(this.mode.actor));
    }
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    camera.updateMatrixWorld();
    return camera;
  }

  /** Whether one looks through this person's eyes. */
  seesWith(person) {
    return this.mode.kind === 'eyes' && person.actor === this.mode.actor;
  }

  /** Whether a head is so small in a panel that few triangles are enough. */
  small({ head, face }, camera, panel) {
    if (!face) return false;
    const place = new THREE.Vector3().setFromMatrixPosition(head.matrixWorld);
    const half = Math.tan(THREE.MathUtils.degToRad(camera.fov / 2));
    return (face.size.y / (2 * place.distanceTo(camera.position) * half)) * panel.rect[3] < Views.SMALL;
  }

  /** Put a camera before a face: it sees what the shapes move, with a margin. */
  _beforeFace(camera, person, aspect) {
    const { face, head } = person;
    const half = 0.5 * Math.max(1.4 * face.size.y, (1.3 * face.size.x) / aspect);
    const distance = half / Math.tan(THREE.MathUtils.degToRad(Views.FACE / 2)) + 0.5 * face.size.z;
    const place = face.centre.clone();
    place.z += distance;
    camera.up.set(0, 1, 0).transformDirection(head.matrixWorld);
    camera.position.copy(head.localToWorld(place));
    camera.lookAt(head.localToWorld(face.centre.clone()));
    camera.near = 0.5 * distance;
    const chin = head.localToWorld(face.centre.clone().setY(face.centre.y - 0.4 * face.size.y));
    person.chin.setFromNormalAndCoplanarPoint(camera.up.clone().negate(), chin);
  }

  /** Put a camera where a person's eyes are. */
  _behindEyes(person) {
    if (!person) return;
    const carrier = person.head ?? person.neck;
    const eyes = person.face?.eyes.clone() ?? new THREE.Vector3(0, 0.08, 0.1);
    const forward = new THREE.Vector3(0, 0, 1).transformDirection(carrier.matrixWorld);
    this.eye.up.set(0, 1, 0).transformDirection(carrier.matrixWorld);
    this.eye.position.copy(carrier.localToWorld(eyes));
    this.eye.lookAt(this.eye.position.clone().add(forward));
  }

  /** See an actor whole, from the side from which the camera looks already. */
  _lookAtOne(place, aspect) {
    const away = this.camera.position.clone().sub(this.controls.target).setY(0);
    if (away.lengthSq() < 1e-6) away.set(0, 0, 1);
    this.controls.target.copy(place);
    this.camera.position.copy(place).addScaledVector(away.normalize(), 3.8 * Math.max(1, 0.8 / aspect));
    this.camera.position.y += 0.5;
    this.controls.update();
  }

  /** See all that moves, from the side that spreads the actors most and shows more of their faces. */
  _lookAtAll({ points, hips, looks }, aspect) {
    const place = hips.reduce((sum, hip) => sum.add(hip), new THREE.Vector3()).divideScalar(hips.length);
    let [xx, xz, zz] = [1e-9, 0, 0];
    for (const hip of hips) {
      xx += (hip.x - place.x) ** 2;
      xz += (hip.x - place.x) * (hip.z - place.z);
      zz += (hip.z - place.z) ** 2;
    }
    const angle = 0.5 * Math.atan2(2 * xz, xx - zz); // of the direction in which hips spread most
    const back = new THREE.Vector3(-Math.sin(angle), 0, Math.cos(angle)); // from the middle to the camera
    if (looks.dot(back) < 0) back.negate();
    back.setY(0.16).normalize();
    const right = new THREE.Vector3(0, 1, 0).cross(back).normalize();
    const up = back.clone().cross(right);
    const slope = 0.92 * Math.tan(THREE.MathUtils.degToRad(Views.ROOM / 2)); // leaves a margin
    let distance = 5;
    /** The least and the most of all points along an axis of the picture, whose edges are -1 and 1. */
    const reach = (axis, tangent) => {
      let [low, high] = [Infinity, -Infinity];
      for (const point of points) {
        const offset = point.clone().sub(place);
        const side = offset.dot(axis) / Math.max(distance - offset.dot(back), 1e-3) / tangent;
        low = Math.min(low, side);
        high = Math.max(high, side);
      }
      return [low, high];
    };
    for (let i = 0; i < 12; i++) {
      const [left, rightmost] = reach(right, slope * aspect);
      const [bottom, top] = reach(up, slope);
      place.addScaledVector(right, 0.5 * (left + rightmost) * slope * aspect * distance);
      place.addScaledVector(up, 0.5 * (bottom + top) * slope * distance);
      distance *= Math.max(0.5 * (rightmost - left), 0.5 * (top - bottom));
      distance = Math.min(50, Math.max(1.2, distance));
    }
    this.controls.target.copy(place);
    this.camera.position.copy(place).addScaledVector(back, distance);
    this.controls.update();
  }
}
