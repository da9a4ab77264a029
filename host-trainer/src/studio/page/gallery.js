"use strict";
// So many pictures are shown at first, and so many more each time.
const PAGE = 60;
// Which folder is shown, what lies in it, and how many of these are shown.
let shelf;
let names = [];
let limit = PAGE;
// The number of pictures when they were listed.
let listed;
// Names of the pictures that are chosen.
const chosen = new Set();

function showShelves() {
  text($("folder"), view.folder);
  const filled = view.classes.filter(([, count]) => count > 0);
  if (!filled.some(([name]) => name === shelf)) turn(filled[0]?.[0]);
  arrange($("shelves"), filled.map(([name]) => name), (name) => {
    const button = make("button", { type: "button" }, make("span", { textContent: name }), make("b"));
    button.addEventListener("click", () => {
      turn(name);
      showShelves();
    });
    return button;
  });
  filled.forEach(([name, count], index) => {
    const button = $("shelves").children[index];
    button.setAttribute("aria-pressed", name === shelf);
    text(button.lastChild, String(count));
  });
  const state = `${shelf} ${filled.find(([name]) => name === shelf)?.[1]}`;
  if (state !== listed) {
    listed = state;
    list();
  }
}

// Turns to another folder.
function turn(name) {
  shelf = name;
  limit = PAGE;
  listed = undefined;
  chosen.clear();
}

async function list() {
  const asked = shelf;
  const found = asked === undefined ? [] : await ask(`pictures/${encodeURIComponent(asked)}`).catch(() => []);
  if (asked !== shelf) return;
  names = found;
  [...chosen].filter((name) => !names.includes(name)).forEach((name) => chosen.delete(name));
  showPictures();
}

function showPictures() {
  const path = (name) => `picture/${encodeURIComponent(shelf)}/${encodeURIComponent(name)}`;
  const box = $("pictures");
  const focused = box.dataset.shelf === shelf ? [...box.children].indexOf(document.activeElement) : -1;
  box.dataset.shelf = shelf;
  arrange(box, names.slice(0, limit).map((name) => `${shelf}/${name}`), (key) => {
    const name = key.slice(shelf.length + 1);
    const button = make("button", { type: "button", title: name }, make("img", { src: path(name), alt: `${shelf}, ${name}`, loading: "lazy" }));
    button.addEventListener("click", () => toggle(name));
    return button;
  });
  if (!box.contains(document.activeElement)) focusNear(focused);
  showChosen();
}

function showChosen() {
  names.slice(0, limit).forEach((name, index) => $("pictures").children[index]?.setAttribute("aria-pressed", chosen.has(name)));
  $("chosen").hidden = chosen.size === 0;
  text($("many"), `${chosen.size} chosen`);
  $("more").hidden = names.length <= limit;
}

function toggle(name) {
  if (!chosen.delete(name)) chosen.add(name);
  showChosen();
}

function chooseNone() {
  chosen.clear();
  showChosen();
}

// The next picture, or the one before.
function go(from, by) {
  const buttons = [...$("pictures").children];
  buttons[buttons.indexOf(from) + by]?.focus();
}

const pictures = () => [...chosen].map((name) => ({ class: shelf, name }));

// Lets the keyboard go on where it was when the picture that it was on has gone.
function focusNear(index) {
  const buttons = $("pictures").children;
  if (index >= 0) buttons[Math.min(index, buttons.length - 1)]?.focus();
}

async function change(action) {
  const changed = [...chosen];
  if (!(await act(action))) return;
  changed.forEach((name) => chosen.delete(name));
  await list();
}

const move = (to) => change({ do: "relabel", pictures: pictures(), class: to });
const removeChosen = () => chosen.size > 0 && change({ do: "delete", pictures: pictures() });

$("delete").addEventListener("click", removeChosen);
$("none").addEventListener("click", chooseNone);
$("more").addEventListener("click", () => {
  limit += PAGE;
  showPictures();
});
