// Most pixels of a picture; a larger one is reduced by the browser first.
const MOST_PIXELS = 16e6;
// Runs whose median is the time that is shown, and how many of them a single picture gets.
const TIMES = 25;
const RUNS = 8;
// Colours of activations from the smallest value to the largest: viridis in five places.
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

const $ = (id) => document.getElementById(id);
const model = JSON.parse($("model").textContent);
const decoded = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
let engine;
// The camera's, while it is on.
let stream;
// The network's input of the picture that is shown.
let last;
// Frames saved so far.
let saved = 0;
const times = { resize: [], network: [] };

function timed(kind, work) {
  const start = performance.now();
  work();
  times[kind].push(performance.now() - start);
  if (times[kind].length > TIMES) times[kind].shift();
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

// Classifies what a canvas can draw.
function classify(source, width, height) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  note(scale < 1 ? "The browser has reduced this picture first, since it is larger than 16 million pixels." : "");
  const shown = $("shown");
  [shown.width, shown.height] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const context = shown.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, shown.width, shown.height);
  const { data } = context.getImageData(0, 0, shown.width, shown.height);
  timed("resize", () => engine.see(data, shown.width, shown.height));
  const input = engine.input().slice();
  last = input;
  showInput(input);
  // A single picture runs several times, so that its time is not that of the first.
  for (let run = stream ? RUNS : 1; run <= RUNS; run++) {
    engine.input().set(input);
    timed("network", () => engine.run());
  }
  const [decision, probabilities] = [engine.decide(), engine.probabilities()];
  shown.hidden = false;
  $("hint").hidden = true;
  $("save").disabled = false;
  showAnswer(decision, probabilities);
  if ($("layers").open) showLayers(input);
}

function showInput(input) {
  const { width, height, channels } = model;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = input[channels * pixel + (channels === 3 ? channel : 0)] ^ 0x80;
    }
    image.data[4 * pixel + 3] = 255;
  }
  const canvas = $("input");
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function showAnswer(decision, probabilities) {
  const label = model.labels[decision.class];
  const probability = model.probabilities ? decision.probability : probabilities[decision.class];
  const often = stream ? "averaged over the last frames, " : "";
  $("says").classList.toggle("unsure", !decision.sure);
  text($("answer"), decision.sure ? label : "no answer");
  const least = model.threshold ? `it answers from ${percent(model.threshold)} on` : "it always answers";
  text($("why"), decision.sure
    ? `${often}with ${percent(probability)}; ${least}`
    : `${often}rather ${label}, but with ${percent(probability)}; ${least}`);
  [...$("bars").children].forEach((row, index) => {
    row.classList.toggle("best", index === decision.class);
    row.querySelector("i").style.width = percent(probabilities[index], 1).replace("\u00a0", "");
    row.lastElementChild.textContent = percent(probabilities[index], 1);
  });
  text($("time"), `${median(times.network).toFixed(2)} ms, and ${median(times.resize).toFixed(2)} ms to resize`);
}

// Changes a text only where it is another one, so that it is read out once.
function text(element, content) {
  if (element.textContent !== content) element.textContent = content;
}

function note(content) {
  text($("note"), content);
}

// Each layer's output in a picture of its channels side by side, put together of what its operators make.
function showLayers(input) {
  const outputs = model.layers.map(() => []);
  engine.input().set(input);
  engine.run((operator, bytes) => {
    const { layer } = model.operators[operator];
    if (layer !== null) outputs[layer].push(bytes.slice());
  });
  model.layers.forEach((layer, index) => draw($("layers").querySelectorAll("canvas")[index], layer, outputs[index]));
}

function draw(canvas, { width, height, channels }, parts) {
  const values = parts.flatMap((part) => Array.from(part, (byte) => byte ^ 0x80));
  const [low, high] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [255, 0]);
  const columns = Math.min(channels, Math.max(1, Math.round(Math.sqrt((channels * height) / width))));
  // Between two channels, unless they are single values.
  const gap = width * height > 1 ? 1 : 0;
  const [right, down] = [width + gap, height + gap];
  [canvas.width, canvas.height] = [columns * right - gap, Math.ceil(channels / columns) * down - gap];
  const image = new ImageData(canvas.width, canvas.height);
  values.forEach((value, index) => {
    const [channel, pixel] = [index % channels, Math.floor(index / channels)];
    const x = (channel % columns) * right + (pixel % width);
    const y = Math.floor(channel / columns) * down + Math.floor(pixel / width);
    image.data.set([...colour((value - low) / (high - low || 1)), 255], 4 * (y * canvas.width + x));
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function colour(share) {
  const place = share * (RAMP.length - 1);
  const index = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[index].map((from, channel) => from + (place - index) * (RAMP[index + 1][channel] - from));
}

// A single picture: what went before says nothing about it.
function picture(source, width, height) {
  stop();
  engine.restart();
  classify(source, width, height);
}

async function file(file) {
  if (!file) return;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    note(`${file.name || "This"} is no picture that this browser can read.`);
    return;
  }
  pressed(null);
  picture(bitmap, bitmap.width, bitmap.height);
}

function pressed(button) {
  for (const one of $("samples").children) one.setAttribute("aria-pressed", one === button);
}

async function sample(button) {
  const image = button.firstElementChild;
  await image.decode();
  pressed(button);
  picture(image, image.naturalWidth, image.naturalHeight);
}

function stop() {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null;
  $("camera").setAttribute("aria-pressed", false);
}

async function camera() {
  if (stream) return stop();
  let opened;
  try {
    opened = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 320 }, height: { ideal: 240 } } });
  } catch (error) {
    return note(`No camera: ${error.message}.`);
  }
  const video = Object.assign(document.createElement("video"), { srcObject: opened, muted: true, playsInline: true });
  await video.play();
  stop();
  stream = opened;
  engine.restart();
  pressed(null);
  $("camera").setAttribute("aria-pressed", true);
  const frame = () => {
    if (stream !== opened) return;
    classify(video, video.videoWidth, video.videoHeight);
    requestAnimationFrame(frame);
  };
  frame();
}

function save() {
  $("shown").toBlob((png) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(png);
    link.download = `frame-${(saved += 1)}.png`;
    link.click();
    note(`Saved as ${link.download}.`);
  });
}

function listen() {
  $("camera").addEventListener("click", camera);
  $("save").addEventListener("click", save);
  $("drop").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => file($("file").files[0]));
  $("layers").addEventListener("toggle", () => {
    if (last && !stream && $("layers").open) showLayers(last);
  });
  for (const button of $("samples").children) button.addEventListener("click", () => sample(button));
  addEventListener("paste", (event) => file(event.clipboardData.files[0]));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    });
  }
  addEventListener("drop", (event) => file(event.dataTransfer.files[0]));
}

async function start() {
  engine = await Engine.open(decoded(model.wasm), decoded(model.blob), model);
  const differs = model.golden ? engine.selfTest() : "";
  $("proof").className = differs ? "bad" : "good";
  text($("proof"), differs ? `✗ self-test failed: ${differs}` : model.golden ? "✓ self-test passed" : "");
  listen();
  const [first] = $("samples").children;
  if (first) await sample(first);
}

const ready = start().catch((error) => {
  $("proof").className = "bad";
  text($("proof"), `This browser cannot run the model: ${error.message}`);
});
