// Prints the reports of the official validator on GLB files, a line of JSON each.
// node tests/helpers/gltf/validate.js FILE ...
"use strict";
const fs = require("fs");
const validator = require("gltf-validator");

(async () => {
  for (const path of process.argv.slice(2)) {
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(path)), { maxIssues: 1000 });
    console.log(JSON.stringify(report));
  }
})();
