"use strict";
// The device's engine in WebAssembly, with one model. Addresses are those of its memory, which this file grows and hands out.
class Engine {
  // `deflated` is the engine as the page holds it. Throws where the browser lacks what is needed, or the engine refuses the blob.
  static async open(deflated, blob, model) {
    const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
    const { instance } = await WebAssembly.instantiate(await new Response(inflated).arrayBuffer(), {});
    const engine = new Engine(instance.exports, model);
    const at = engine.take(blob.length);
    engine.bytes(at, blob.length).set(blob);
    if (!engine.exports.load(engine.twin, at, blob.length, engine.arena, model.arena)) throw new Error(engine.message());
    return engine;
  }

  constructor(exports, model) {
    this.exports = exports;
    this.model = model;
    this.twin = exports.twin();
    this.arena = this.take(model.arena);
    this.scratch = { at: 0, room: 0 };
  }

  // Memory that nobody else has, in whole pages, and so aligned.
  take(length) {
    const { memory } = this.exports;
    const at = memory.buffer.byteLength;
    memory.grow(Math.ceil(length / 65536));
    return at;
  }

  // A view that holds until memory grows.
  bytes(at, length) {
    return new Uint8Array(this.exports.memory.buffer, at, length);
  }

  message() {
    const { message, message_len, memory } = this.exports;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, message(this.twin), message_len(this.twin)));
  }

  // Runs the golden vector; gives what differs, or nothing.
  selfTest() {
    return this.exports.self_test(this.twin) ? "" : this.message();
  }

  // The network's input, bytes of int8, which the next run takes and may overwrite.
  input() {
    const { width, height, channels } = this.model;
    return this.bytes(this.exports.input(this.twin), width * height * channels);
  }

  // Makes the input of a picture of four bytes a pixel, as a canvas has it.
  see(rgba, width, height) {
    const length = width * height * 3;
    if (length > this.scratch.room) this.scratch = { at: this.take(length), room: length };
    const rgb = this.bytes(this.scratch.at, length);
    for (let from = 0, to = 0; to < length; from += 4, to += 3) {
      rgb[to] = rgba[from];
      rgb[to + 1] = rgba[from + 1];
      rgb[to + 2] = rgba[from + 2];
    }
    if (!this.exports.frame(this.twin, this.scratch.at, width, height)) throw new Error(this.message());
  }

  // Runs the network on its input. `seen`, where there is one, gets each operator's index and output.
  run(seen) {
    const { step } = this.exports;
    for (let operator = step(this.twin); operator >= 0; operator = step(this.twin)) {
      if (seen) seen(operator, this.bytes(this.arena + this.model.operators[operator].offset, this.model.operators[operator].length));
    }
  }

  // What the last run has made of an input: its last tensor and its scores, bytes of int8.
  output() {
    return this.bytes(this.arena + this.model.output.offset, this.model.output.length);
  }

  logits() {
    return this.bytes(this.arena + this.model.logits.offset, this.model.labels.length);
  }

  // The device's decision by this run and those before it since `restart`.
  decide() {
    const bits = this.exports.decide(this.twin);
    return { class: bits & 0xffff, probability: ((bits >> 16) & 0xff) / 256, sure: ((bits >> 24) & 1) === 1 };
  }

  restart() {
    this.exports.restart(this.twin);
  }

  // Probabilities of all classes: the network's own, or what its scores come to where it ends without them.
  probabilities() {
    if (this.model.probabilities) {
      return this.model.labels.map((_, label) => this.exports.probability(this.twin, label) / 256);
    }
    const logits = Array.from(this.logits(), (byte) => (byte << 24) >> 24);
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp((logit - largest) * this.model.step));
    const sum = powers.reduce((all, power) => all + power);
    return powers.map((power) => power / sum);
  }
}
