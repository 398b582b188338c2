// SPDX-License-Identifier: Apache-2.0
// usage: hashes.js FILE...
//
// Recomputes the hash of every receipt: members sorted by json-stable-stringify, numbers and strings
// as JavaScript itself writes them, which is what RFC 8785 refers to. A line for each that differs.
'use strict';
const { createHash } = require('crypto');
const { readFileSync } = require('fs');
const canonical = require('json-stable-stringify');

let wrong = 0;
for (const file of process.argv.slice(2)) {
  const documents = readFileSync(file, 'utf8').trim().split(/\n+(?={)/);
  documents.flatMap((text) => JSON.parse(text)).forEach((receipt, i) => {
    const { receipt_hash: has, ...rest } = receipt;
    const want = 'sha256:' + createHash('sha256').update(canonical(rest), 'utf8').digest('hex');
    if (has !== want) {
      wrong++;
      console.log(`${file}: receipt ${i + 1}: receipt_hash: is ${has}, by JavaScript ${want}`);
    }
  });
}
process.exit(wrong ? 1 : 0);
