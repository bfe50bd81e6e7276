'use strict';

/** A floor with a line each metre, about where the actors go; it fades into the room. */
class Ground {
  /**
   * @param {THREE.Vector3[]} points where joints are over the take
   * @param {{room: THREE.Color, ground: THREE.Color, line: THREE.Color}} colours
   */
  constructor(points, { room, ground, line }) {
    const area = new THREE.Box3().setFromPoints(points);
    const middle = area.getCenter(new THREE.Vector3()).setY(0);
    const inner = 0.5 * area.getSize(new THREE.Vector3()).setY(0).length() + 1;
    const outer = 2 * inner + 2;
    /** 0 where the actors are, 1 where the room begins. */
    const far = (x, z) => {
      const share = (Math.hypot(x - middle.x, z - middle.z) - inner) / (outer - inner);
      return Math.min(1, Math.max(0, share));
    };
    const coloured = (geometry, colour) => {
      const { position } = geometry.attributes;
      const colours = new Float32Array(3 * position.count);
      for (let i = 0; i < position.count; i++) {
        colour
          .clone()
          .lerp(room, far(position.getX(i), position.getZ(i)))
          .toArray(colours, 3 * i);
      }
      return geometry.setAttribute('color', new THREE.BufferAttribute(colours, 3));
    };
    const disc = new THREE.RingGeometry(0.001, outer, 64, 24).rotateX(-Math.PI / 2);
    disc.translate(middle.x, -0.006, middle.z);
    const floor = new THREE.Mesh(
      coloured(disc, ground),
      new THREE.MeshBasicMaterial({ vertexColors: true }),
    );
    floor.renderOrder = -3;
    const ends = Ground._lines(Math.round(middle.x), Math.round(middle.z), Math.ceil(outer), far);
    const lines = new THREE.BufferGeometry();
    lines.setAttribute('position', new THREE.BufferAttribute(new Float32Array(ends), 3));
    const grid = new THREE.LineSegments(
      coloured(lines, line),
      new THREE.LineBasicMaterial({ vertexColors: true }),
    );
    grid.renderOrder = -2;
    this.group = new THREE.Group();
    this.group.add(floor, grid);
    this.group.updateMatrixWorld(true);
  }

  dispose() {
    this.group.removeFromParent();
    for (const part of this.group.children) {
      part.geometry.dispose();
      part.material.dispose();
    }
  }

  /** Ends of pieces of lines, a metre long so that each can have its colours. */
  static _lines(x, z, reach, far) {
    const ends = [];
    for (let i = -reach; i <= reach; i++) {
      for (let j = -reach; j < reach; j++) {
        if (far(x + i, z + j) < 1) ends.push(x + i, 0, z + j, x + i, 0, z + j + 1);
        if (far(x + j, z + i) < 1) ends.push(x + j, 0, z + i, x + j + 1, 0, z + i);
      }
    }
    return ends;
  }
}
