// BLAKE3 in key-derivation mode for inputs of at most one chunk (1,024 bytes), which a header of 81
// bytes is. From the BLAKE3 specification, section 2; the same file runs in Node and in a browser.

const IV = Uint32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const CHUNK_START = 1;
const CHUNK_END = 2;
const ROOT = 8;
const DERIVE_KEY_CONTEXT = 32;
const DERIVE_KEY_MATERIAL = 64;
const BLOCK = 64;
const CHUNK = 1024;

const turn = (word, by) => (word >>> by) | (word << (32 - by));

function mix(v, a, b, c, d, x, y) {
  v[a] += v[b] + x;
  v[d] = turn(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = turn(v[b] ^ v[c], 12);
  v[a] += v[b] + y;
  v[d] = turn(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = turn(v[b] ^ v[c], 7);
}

function compress(key, block, length, flags) {
  let m = Uint32Array.from(block);
  const v = Uint32Array.of(...key, ...IV.subarray(0, 4), 0, 0, length, flags);
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 4; i++) mix(v, i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
    for (let i = 0; i < 4; i++) {
      mix(v, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4), m[8 + 2 * i], m[9 + 2 * i]);
    }
    m = Uint32Array.from(PERMUTATION, (from) => m[from]);
  }
  return Uint32Array.from({ length: 8 }, (_, i) => v[i] ^ v[i + 8]);
}

function hashChunk(key, bytes, mode) {
  if (bytes.length > CHUNK) throw new RangeError("at most one chunk");
  let chaining = key;
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  for (let i = 0; i < blocks; i++) {
    const part = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
    const padded = new DataView(new ArrayBuffer(BLOCK));
    part.forEach((byte, at) => padded.setUint8(at, byte));
    const words = Uint32Array.from({ length: 16 }, (_, at) => padded.getUint32(at * 4, true));
    const last = i === blocks - 1 ? CHUNK_END | ROOT : 0;
    chaining = compress(chaining, words, part.length, mode | (i === 0 ? CHUNK_START : 0) | last);
  }
  return chaining;
}

/** The 32 bytes that BLAKE3 derives from `bytes` in `context`. */
export function deriveKey(context, bytes) {
  const key = hashChunk(IV, new TextEncoder().encode(context), DERIVE_KEY_CONTEXT);
  const words = hashChunk(key, bytes, DERIVE_KEY_MATERIAL);
  const view = new DataView(new ArrayBuffer(32));
  words.forEach((word, at) => view.setUint32(at * 4, word, true));
  return new Uint8Array(view.buffer);
}
