'use strict';

/**
 * The shapes of one head, kept sparse: most shapes move a part of the face only.
 *
 * Faces are shaped here and not on the graphics card. Normals then follow the surface exactly, which sums of
 * the shapes' own normals do not, and a head that is seen in two or three pictures is shaped once a frame.
 */
class FaceShapes {
  /** @param {THREE.Mesh} mesh a head as the GLB has it; its morph targets are taken away from the geometry */
  constructor(mesh) {
    const geometry = mesh.geometry;
    const position = geometry.attributes.position;
    this.names = Object.keys(mesh.morphTargetDictionary ?? {});
    this.rest = FaceShapes._numbers(position);
    this.triangles = geometry.index
      ? Uint32Array.from(geometry.index.array)
      : Uint32Array.from({ length: position.count }, (_, i) => i);
    this.shapes = (geometry.morphAttributes.position ?? []).map((target) => FaceShapes._sparse(target));
    geometry.morphAttributes = {};
    const middle = this._window();
    /** Middle and size of the part of the head that its shapes move, in the mesh's own axes. */
    this.centre = middle.centre;
    this.size = middle.size;
    /** Between the eyes. */
    this.eyes = this._eyes();
  }

  /** A geometry that one copy of the head shapes for itself; it shares nothing that changes. */
  geometry() {
    const geometry = new THREE.BufferGeometry();
    const position = new THREE.BufferAttribute(this.rest.slice(), 3);
    const normal = new THREE.BufferAttribute(new Float32Array(this.rest.length), 3);
    position.usage = normal.usage = 35048; // DYNAMIC_DRAW
    geometry.setAttribute('position', position);
    geometry.setAttribute('normal', normal);
    geometry.setIndex(new THREE.BufferAttribute(this.triangles, 1));
    FaceShapes.normals(position.array, this.triangles, normal.array);
    return geometry;
  }

  /** The same head with far fewer triangles, for where it is small; it shares the vertices of `geometry`. */
  coarse(geometry) {
    this.few ??= this._fewer(this.size.y / 16);
    const made = new THREE.BufferGeometry();
    made.setAttribute('position', geometry.attributes.position);
    made.setAttribute('normal', geometry.attributes.normal);
    made.setIndex(new THREE.BufferAttribute(this.few, 1));
    return made;
  }

  /** Triangles between cells of a grid: all vertices of a cell become its first; what is flat then goes. */
  _fewer(cell) {
    const first = new Map();
    const stands = new Uint32Array(this.rest.length / 3);
    for (let v = 0; v < stands.length; v++) {
      const [x, y, z] = [0, 1, 2].map((axis) => Math.floor(this.rest[3 * v + axis] / cell) + 512);
      const key = (x * 1024 + y) * 1024 + z;
      if (!first.has(key)) first.set(key, v);
      stands[v] = first.get(key);
    }
    const few = [];
    for (let i = 0; i < this.triangles.length; i += 3) {
      const [a, b, c] = [0, 1, 2].map((corner) => stands[this.triangles[i + corner]]);
      if (a !== b && b !== c && c !== a) few.push(a, b, c);
    }
    return Uint32Array.from(few);
  }

  /**
   * Shape a geometry: rest plus the sum of weights times shapes, and normals of the result.
   *
   * @param {THREE.BufferGeometry} geometry made by `geometry()`
   * @param {ArrayLike<number>} weights one for each shape
   */
  apply(geometry, weights) {
    const { position, normal } = geometry.attributes;
    const out = position.array;
    out.set(this.rest);
    for (let k = 0; k < this.shapes.length; k++) {
      const weight = weights[k];
      if (weight === 0) continue;
      const { vertices, deltas } = this.shapes[k];
      for (let i = 0, j = 0; i < vertices.length; i++, j += 3) {
        const v = vertices[i];
        out[v] += weight * deltas[j];
        out[v + 1] += weight * deltas[j + 1];
        out[v + 2] += weight * deltas[j + 2];
      }
    }
    FaceShapes.normals(out, this.triangles, normal.array);
    position.needsUpdate = true;
    normal.needsUpdate = true;
  }

  /** Normals of vertices: the sum of their triangles' normals, weighted by area, of length 1. */
  static normals(position, triangles, normal) {
    normal.fill(0);
    for (let i = 0; i < triangles.length; i += 3) {
      const a = 3 * triangles[i];
      const b = 3 * triangles[i + 1];
      const c = 3 * triangles[i + 2];
      const ux = position[b] - position[a];
      const uy = position[b + 1] - position[a + 1];
      const uz = position[b + 2] - position[a + 2];
      const vx = position[c] - position[a];
      const vy = position[c + 1] - position[a + 1];
      const vz = position[c + 2] - position[a + 2];
      const x = uy * vz - uz * vy;
      const y = uz * vx - ux * vz;
      const z = ux * vy - uy * vx;
      normal[a] += x;
      normal[a + 1] += y;
      normal[a + 2] += z;
      normal[b] += x;
      normal[b + 1] += y;
      normal[b + 2] += z;
      normal[c] += x;
      normal[c + 1] += y;
      normal[c + 2] += z;
    }
    for (let i = 0; i < normal.length; i += 3) {
      const x = normal[i];
      const y = normal[i + 1];
      const z = normal[i + 2];
      const length = Math.sqrt(x * x + y * y + z * z) || 1;
      normal[i] = x / length;
      normal[i + 1] = y / length;
      normal[i + 2] = z / length;
    }
  }

  /** A three.js attribute, quantised or not, as plain numbers. */
  static _numbers(attribute) {
    const numbers = new Float32Array(3 * attribute.count);
    for (let i = 0; i < attribute.count; i++) {
      numbers[3 * i] = attribute.getX(i);
      numbers[3 * i + 1] = attribute.getY(i);
      numbers[3 * i + 2] = attribute.getZ(i);
    }
    return numbers;
  }

  /** The vertices that a shape moves (as places in an array of xyz) and how far it moves them. */
  static _sparse(target) {
    const all = FaceShapes._numbers(target);
    const moved = [];
    for (let i = 0; i < all.length; i += 3) {
      if (all[i] !== 0 || all[i + 1] !== 0 || all[i + 2] !== 0) moved.push(i);
    }
    const deltas = new Float32Array(3 * moved.length);
    moved.forEach((v, i) => deltas.set(all.subarray(v, v + 3), 3 * i));
    return { vertices: Uint32Array.from(moved), deltas };
  }

  /** Middle and size of what moves by a tenth of the largest travel or more; of the head if nothing does. */
  _window() {
    const travel = new Float32Array(this.rest.length / 3);
    for (const { vertices, deltas } of this.shapes) {
      for (let i = 0; i < vertices.length; i++) {
        const length = Math.hypot(deltas[3 * i], deltas[3 * i + 1], deltas[3 * i + 2]);
        const v = vertices[i] / 3;
        if (length > travel[v]) travel[v] = length;
      }
    }
    const least = 0.1 * travel.reduce((a, b) => Math.max(a, b), 0);
    const box = new THREE.Box3();
    const point = new THREE.Vector3();
    for (let v = 0; v < travel.length; v++) {
      if (travel[v] >= least) box.expandByPoint(point.fromArray(this.rest, 3 * v));
    }
    return { centre: box.getCenter(new THREE.Vector3()), size: box.getSize(new THREE.Vector3()) };
  }

  /** The middle of what blinking moves; a place above the middle of the face where no shape is a blink. */
  _eyes() {
    const eyes = new THREE.Vector3();
    let sum = 0;
    this.names.forEach((name, k) => {
      if (!/^eyeBlink/i.test(name)) return;
      const { vertices, deltas } = this.shapes[k];
      let middle = new THREE.Vector3();
      let share = 0;
      for (let i = 0; i < vertices.length; i++) {
        const weight = Math.hypot(deltas[3 * i], deltas[3 * i + 1], deltas[3 * i + 2]);
        middle.addScaledVector(new THREE.Vector3().fromArray(this.rest, vertices[i]), weight);
        share += weight;
      }
      if (share > 0) {
        eyes.add(middle.divideScalar(share));
        sum += 1;
      }
    });
    if (sum) return eyes.divideScalar(sum);
    return this.centre.clone().add(new THREE.Vector3(0, 0.2 * this.size.y, 0.5 * this.size.z));
  }
}
