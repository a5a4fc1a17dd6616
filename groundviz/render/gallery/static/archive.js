/** What the page carries: an index at once, small images and payloads when they are needed. */

import { fromBase64, inflate } from "../../viewer/static/data/payload.js";

export class Archive {
  constructor() {
    this.index = JSON.parse(document.getElementById("gallery-index").textContent);
    this.chunks = new Map();
  }

  /** A line of a kind, or null while that part of the page has not arrived. */
  line(kind, at) {
    const { chunk } = this.index;
    const name = `gallery-${kind}-${Math.floor(at / chunk)}`;
    if (!this.chunks.has(name)) {
      const place = document.getElementById(name);
      // While a page is read, an element may be there with a part of its text.
      if (!place || (document.readyState === "loading" && !place.nextSibling)) return null;
      this.chunks.set(name, place.textContent.split("\n"));
    }
    return this.chunks.get(name)[at % chunk];
  }

  small(at) {
    const line = this.line("small", at);
    return line && `data:image/jpeg;base64,${line}`;
  }

  /** The viewer's payload of a case, as base64. */
  async payload(at) {
    const line = this.line("pack", at);
    if (line === null) return null;
    const bytes = await inflate(fromBase64(line));
    const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
    const own = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
    const header = new TextEncoder().encode(JSON.stringify({ ...own, ...this.index.shared }));
    const whole = new Uint8Array(4 + header.length + bytes.length - start);
    new DataView(whole.buffer).setUint32(0, header.length, true);
    whole.set(header, 4);
    whole.set(bytes.subarray(start), 4 + header.length);
    return toBase64(whole);
  }
}

function toBase64(bytes) {
  const step = 32768;
  let text = "";
  for (let at = 0; at < bytes.length; at += step) text += String.fromCharCode(...bytes.subarray(at, at + step));
  return btoa(text);
}
