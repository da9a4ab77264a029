"use strict";
// What is said stays for so many milliseconds, and what went wrong for so many.
const SAID = 3500;
const WRONG = 10000;
// The server is asked again after so many milliseconds when it does not answer.
const AGAIN = 1500;

const $ = (id) => document.getElementById(id);
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}\u00a0%`;
// What the server has told last, and the frame that is shown.
let view = { version: 0, boards: [], classes: [], models: [] };
let sight = { number: 0 };
// Which of several boards is shown.
let board = 0;
// The camera is stopped; one more frame may come.
let stopped = false;
let stepping = false;
// Requests to stop or go on that are not answered yet: till then the server's word is old.
let unanswered = 0;
// The last note of each board that was said.
const heard = [];
let waiting;

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

// Asks the server to do something; says what was done, or why not.
async function act(action) {
  try {
    const headers = { "content-type": "application/json" };
    const done = await ask("do", { method: "POST", headers, body: JSON.stringify(action) });
    say(done.said);
    return done;
  } catch (error) {
    say(error.message, true);
    return undefined;
  }
}

function say(content, wrong = false) {
  if (!content) return;
  const line = document.createElement("p");
  line.className = wrong ? "bad" : "";
  line.textContent = content;
  $("said").append(line);
  while ($("said").children.length > 4) $("said").firstChild.remove();
  setTimeout(() => line.remove(), wrong ? WRONG : SAID);
}

// Changes a text only where it is another one, so that it is read out once.
function text(element, content) {
  if (element.textContent !== content) element.textContent = content;
}

// A new element with what stands in it.
function make(kind, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

// Makes a list's children those of some keys, in their order, and keeps the elements that are there.
function arrange(list, keys, build) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  [...keys].forEach((key, index) => {
    let child = old.get(String(key));
    old.delete(String(key));
    if (!child) {
      child = build(key);
      child.dataset.key = key;
    }
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
  old.forEach((child) => child.remove());
}

// Asks for one view after the other, each as soon as something is new.
async function follow() {
  for (;;) {
    waiting = new AbortController();
    try {
      const next = await ask(`view/${board}/${view.version}/${sight.number}`, { signal: waiting.signal });
      $("ended").hidden = true;
      show(next);
    } catch (error) {
      if (error.name === "AbortError") continue;
      $("ended").hidden = !(error instanceof TypeError);
      if ($("ended").hidden) say(error.message, true);
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}

function show(next) {
  view = next;
  const state = view.boards[board];
  if (view.sight && (!stopped || stepping || sight.number === 0)) {
    sight = view.sight;
    stepping = false;
    showSight();
  }
  if (unanswered === 0) stopped = state.paused;
  showBoards();
  showState(state);
  showModels(state);
  showClasses(state);
  showShelves();
  showTeacher();
  view.boards.forEach((other, index) => {
    const first = heard[index] === undefined;
    other.notes.filter((note) => note.number > (heard[index] ?? 0)).forEach((note) => first || say(note.text, note.bad));
    heard[index] = other.notes.at(-1)?.number ?? heard[index] ?? 0;
  });
}

function showBoards() {
  $("boards").hidden = view.boards.length < 2;
  arrange($("boards"), view.boards.keys(), (index) => {
    const button = make("button", { type: "button" }, make("i"), make("span"));
    button.addEventListener("click", () => choose(index));
    return button;
  });
  view.boards.forEach((state, index) => {
    const button = $("boards").children[index];
    button.setAttribute("aria-pressed", index === board);
    button.className = state.status;
    text(button.lastChild, `${index + 1}: ${state.name ?? state.link}`);
    button.title = state.link;
  });
}

function choose(index) {
  board = index;
  view.version = 0;
  sight = { number: 0 };
  stopped = stepping = false;
  $("frame").hidden = $("input").hidden = true;
  waiting.abort();
}

function showState(state) {
  const { status, why } = state;
  const lost = why ? `The board is lost: ${why}. It is looked for again and again.` : "";
  $("status").className = status;
  text($("status"), {
    watching: `${state.name}, ${state.link}, kernels ${state.kernel_set}`,
    connecting: `looking for ${state.link}`,
    lost: `${state.link} is lost`,
  }[status]);
  text($("cover"), lost || (status === "connecting" ? "Looking for the board…" : sight.number ? "" : "Waiting for a frame…"));
  $("cover").hidden = !$("cover").textContent;
  $("stage").classList.toggle("old", status !== "watching");
  $("stopped").hidden = !stopped;
  $("pause").setAttribute("aria-pressed", stopped);
  text($("pause").firstChild, stopped ? "Go on " : "Stop ");
  $("step").disabled = !stopped;
  $("arriving").hidden = state.arriving === null;
  if (state.arriving !== null) $("arriving").value = state.arriving;
  const pace = state.pace === null ? "" : ` · ${state.pace.toFixed(1)} frames/s`;
  text($("facts"), sight.number ? `${sight.width}×${sight.height} ${sight.format ?? ""}${pace}` : "");
  arrange($("troubles"), state.troubles.map((trouble) => trouble.text), (trouble) => make("li", { textContent: trouble }));
  showParity(state);
}

function showParity({ compared, differing, model }) {
  $("parity").className = compared === 0 ? "" : differing ? "differs" : "agrees";
  const frames = compared === 1 ? "1 frame" : `${compared} frames`;
  text($("parity").lastChild, compared === 0
    ? model === null ? "not compared: this machine does not have the board's model" : "not compared yet"
    : differing ? `board and this machine differ on ${differing} of ${frames}` : `board = this machine, byte for byte, on ${frames}`);
}

function showSight() {
  for (const [id, source] of [["frame", sight.frame], ["input", sight.input]]) {
    $(id).hidden = !source;
    if (source) $(id).src = source;
  }
  text($("sides"), sight.sides ? `${sight.sides.join("×")}, as the network sees it` : "");
  $("says").classList.toggle("unsure", !sight.sure);
  text($("answer"), sight.sure ? sight.class : "no answer");
  const least = sight.threshold ? `; it answers from ${percent(sight.threshold)} on` : "";
  text($("why"), sight.sure ? `with ${percent(sight.probability)}${least}` : `rather ${sight.class}, but with ${percent(sight.probability)}${least}`);
  showBars();
  showCosts();
}

function showBars() {
  arrange($("bars"), sight.answers.map(([name]) => name), (name) => make("div", { className: "bar" },
    make("span", { textContent: name, title: name }), make("div", {}, make("i"), make("b")), make("span")));
  sight.answers.forEach(([name, share], index) => {
    const row = $("bars").children[index];
    row.classList.toggle("best", name === sight.class);
    row.children[1].firstChild.style.width = `${100 * share}%`;
    row.children[1].lastChild.hidden = !sight.threshold;
    row.children[1].lastChild.style.left = `${100 * sight.threshold}%`;
    row.lastChild.textContent = percent(share, 1);
  });
}

// A cost as time where it is cycles, and as what is counted elsewhere.
function cost(units) {
  if (sight.unit === "cycles" && sight.hz) return `${((1e3 * units) / sight.hz).toFixed(2)} ms`;
  return `${(units / 1e6).toFixed(2)} million ${sight.unit}`;
}

function showCosts() {
  text($("time"), `${cost(sight.network)} for the network, ${cost(sight.preprocessing)} to crop and resize; the frame came in ${sight.ms.toFixed(0)} ms`);
  $("layers").hidden = sight.layers.length === 0;
  if (!$("layers").open) return;
  const all = Math.max(1, ...sight.layers.map(([, units]) => units));
  arrange($("layers").lastElementChild, sight.layers.keys(), () => make("div", { className: "bar" },
    make("span"), make("div", {}, make("i")), make("span")));
  sight.layers.forEach(([name, units], index) => {
    const row = $("layers").lastElementChild.children[index];
    text(row.firstChild, name);
    row.children[1].firstChild.style.width = `${(100 * units) / all}%`;
    text(row.lastChild, cost(units).replace(" million instructions", " M"));
  });
}

function showModels(state) {
  const runs = state.model === null ? state.blob : view.models[state.model].name;
  text($("runs"), runs === null ? "No model runs on the board."
    : state.model === null ? `The board runs ${runs}…, which is none of these: name it by --model.` : `The board runs ${runs}${state.tentative ? ", on trial" : ""}.`);
  arrange($("known"), view.models.map((model) => model.blob), (blob) => {
    const button = make("button", { type: "button", textContent: "Send" });
    button.addEventListener("click", () => act({ do: "send", board, model: view.models.findIndex((model) => model.blob === blob) }));
    return make("li", {}, make("span"), button);
  });
  view.models.forEach((model, index) => {
    const [label, button] = $("known").children[index].children;
    text(label, `${model.name}, ${(model.bytes / 1024).toFixed(0)} KiB`);
    label.title = `${model.file}, ${model.blob}…`;
    button.disabled = index === state.model || state.doing !== null || !state.updates;
    text(button, index === state.model ? "Runs" : "Send");
    button.setAttribute("aria-label", `${button.textContent}: ${model.name}`);
  });
  $("back").disabled = state.doing !== null || !state.updates;
  $("doing").hidden = state.doing === null;
  if (state.doing?.done != null) $("doing").value = state.doing.done;
  else $("doing").removeAttribute("value");
  text($("what"), state.doing?.what ?? (state.about && !state.updates ? "its firmware takes no models" : ""));
}

async function pause(now) {
  stopped = now;
  unanswered += 1;
  await act({ do: "pause", board, paused: now });
  unanswered -= 1;
}

function step() {
  stepping = true;
  act({ do: "step", board });
}

$("pause").addEventListener("click", () => pause(!stopped));
$("step").addEventListener("click", step);
$("back").addEventListener("click", () => act({ do: "roll-back", board }));
$("layers").addEventListener("toggle", () => sight.number && showCosts());
// A button that was clicked does not take the keys of the page.
addEventListener("click", (event) => event.detail > 0 && event.target.closest("button")?.blur());
addEventListener("DOMContentLoaded", follow);
